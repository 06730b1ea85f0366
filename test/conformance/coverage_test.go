package conformance

import (
	"bufio"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
)

// publishedActions are the names in the list that package api keeps.
func publishedActions(t testing.TB) []string {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "internal", "api", "testdata", "published.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "action "); ok {
			out = append(out, strings.Fields(rest)[0])
		}
	}
	return out
}

// TestEveryActionHasAScript: each published action succeeds in some script, and
// the SDK has none beside them.
func TestEveryActionHasAScript(t *testing.T) {
	succeeds := map[string]bool{}
	for _, file := range scripts(t, "actions") {
		for _, s := range readScript(t, file) {
			if s.status == 200 {
				succeeds[s.action] = true
			}
		}
	}
	all := publishedActions(t)
	for _, action := range all {
		if !succeeds[action] {
			t.Errorf("no script in testdata/actions calls %s", action)
		}
	}
	for _, action := range sdkActions() {
		if !slices.Contains(all, action) {
			t.Errorf("the SDK has %s, which is not published", action)
		}
	}
	if len(all) != 93 || len(sdkActions()) < 80 {
		t.Errorf("%d published actions, %d in the SDK", len(all), len(sdkActions()))
	}
}

// sdkActions are the actions that the SDK has methods for.
func sdkActions() []string {
	var out []string
	client := reflect.TypeFor[*slb.Client]()
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() == 2 && m.Type.In(1).String() == "*slb."+m.Name+"Request" && m.Type.NumOut() == 2 {
			out = append(out, m.Name)
		}
	}
	slices.Sort(out)
	return out
}
