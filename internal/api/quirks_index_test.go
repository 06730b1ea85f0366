package api

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oddities is how many the list has.
const oddities = 99

var quirkTest = regexp.MustCompile(`(?m)^func (TestQuirk[0-9]\w*)\(t \*testing\.T\)`)

// quirkNumbers are the numbers in a test's name: 70 and 75 of
// TestQuirk70And75Remove, 1 to 3 of TestQuirk1To3InGroups.
func quirkNumbers(name string) []int {
	var out []int
	for _, m := range regexp.MustCompile(`(And|To)?([0-9]+)`).FindAllStringSubmatch(strings.TrimPrefix(name, "TestQuirk"), -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil || len(out) > 0 && m[1] == "" {
			continue
		}
		if m[1] == "To" {
			for i := out[len(out)-1] + 1; i < n; i++ {
				out = append(out, i)
			}
		}
		out = append(out, n)
	}
	return out
}

// TestEveryQuirkHasATest: each number of the list is in the name of some test of
// this package.
func TestEveryQuirkHasATest(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[int][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quirkTest.FindAllSubmatch(text, -1) {
			for _, n := range quirkNumbers(string(m[1])) {
				tests[n] = append(tests[n], string(m[1]))
			}
		}
	}
	for n := 1; n <= oddities; n++ {
		if len(tests[n]) == 0 {
			t.Errorf("no test is named after oddity %d", n)
		}
		t.Logf("%d: %s", n, strings.Join(tests[n], ", "))
	}
	if !slices.Equal(quirkNumbers("TestQuirk1To3InGroups"), []int{1, 2, 3}) || !slices.Equal(quirkNumbers("TestQuirk70And75Remove"), []int{70, 75}) {
		t.Error("names are misread")
	}
}
