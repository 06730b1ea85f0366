package loop

import (
	"slices"
	"testing"
)

type ender func()

func (e ender) TurnEnds() { e() }

func TestTheEndOfATurnComesAfterAllElse(t *testing.T) {
	l := newLoop(t, Options{})
	var got []string
	note := func(what string) func() { return func() { got = append(got, what) } }
	l.Do(func() {
		l.AtEnd(ender(note("end")))
		l.Post(note("next turn"))
	})
	l.Do(func() {})
	l.Do(func() {
		if !slices.Equal(got, []string{"end", "next turn"}) {
			t.Errorf("order %v", got)
		}
		// A panic at the end of a turn keeps others from nothing.
		l.AtEnd(ender(note("after the panic")))
		l.AtEnd(ender(func() { panic("at the end") }))
	})
	l.Do(func() {
		if len(got) != 3 || got[2] != "after the panic" {
			t.Errorf("%v", got)
		}
	})
}
