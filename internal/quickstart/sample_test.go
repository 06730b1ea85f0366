package quickstart

import (
	"context"
	"testing"

	"go.uber.org/goleak"
)

func TestSamplesTellTheirID(t *testing.T) {
	defer goleak.VerifyNone(t)
	samples, err := startSamples([]string{"i-1", "i-2"})
	if err != nil {
		t.Fatal(err)
	}
	defer stopSamples(samples)
	if samples[0].addr.Port() != samples[1].addr.Port() {
		t.Errorf("ports differ: %v, %v", samples[0].addr, samples[1].addr)
	}
	for _, s := range samples {
		for _, fresh := range []bool{true, false} {
			got := send(context.Background(), "http://"+s.addr.String()+"/", fresh)
			if got.failed != 0 || got.total != requests || got.count[s.id] != requests {
				t.Errorf("%s, fresh=%v: %+v", s.id, fresh, got)
			}
		}
	}
	samples[1].stop()
	if got := send(context.Background(), "http://"+samples[1].addr.String()+"/", true); got.failed != requests || got.firstFailure == nil {
		t.Errorf("stopped server: %+v", got)
	}
}
