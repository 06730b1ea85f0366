package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"
)

// sampled is a profile of a function that calls another, as many times.
func sampled(count int64, leaf string) *profile.Profile {
	m := &profile.Mapping{ID: 1, Start: 0x1000, Limit: 0x9000, File: "/home/someone/bin/openslb", BuildID: "4ca7", HasFunctions: true}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}, PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1,
		Mapping: []*profile.Mapping{m},
	}
	var stack []*profile.Location
	for i, name := range []string{leaf, "main.caller"} {
		id := uint64(i + 1)
		f := &profile.Function{ID: id, Name: name, SystemName: name, Filename: "/home/someone/" + name + ".go", StartLine: 7}
		l := &profile.Location{ID: id, Mapping: m, Address: 0x1000 + 16*id, Line: []profile.Line{{Function: f, Line: 9}}}
		p.Function, p.Location, stack = append(p.Function, f), append(p.Location, l), append(stack, l)
	}
	p.Sample = []*profile.Sample{{Location: stack, Value: []int64{count}}}
	return p
}

// TestWriteProfile merges what was taken, without the kernel's time and without
// the names of this machine's files.
func TestWriteProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "default.pgo")
	taken := []*profile.Profile{
		sampled(3, "main.parse"), sampled(4, "main.parse"),
		sampled(90, "internal/runtime/syscall/linux.Syscall6"), sampled(90, "syscall.RawSyscall6"),
	}
	if err := writeProfile(file, []*proxy{{name: "nginx"}, {name: "openslb", profiler: &profiler{all: taken}}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sample) != 1 || got.Sample[0].Value[0] != 7 {
		t.Errorf("samples %v, want one of 7", got.Sample)
	}
	for _, f := range got.Function {
		if f.Filename != "" || f.StartLine != 7 || (f.Name != "main.parse" && f.Name != "main.caller") {
			t.Errorf("function %+v", f)
		}
	}
	for _, m := range got.Mapping {
		if m.File != "openslb" || m.BuildID != "" {
			t.Errorf("mapping %+v", m)
		}
	}
	if err := writeProfile(file, []*proxy{{name: "nginx"}}); err == nil {
		t.Error("no profile makes an empty file")
	}
}
