package plan

import (
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

func TestGzipSwitch(t *testing.T) {
	for _, on := range []slb.Switch{slb.On, slb.Off} {
		l := slb.NewHTTPListener("lb", 80)
		l.Status, l.BackendServerPort, l.HTTP.Gzip = slb.Running, 8080, on
		f := Instance(stateOf(balancer("lb", "127.1.0.1"), l), "lb").Frontends[0]
		if f.HTTP.Gzip != (on == slb.On) {
			t.Errorf("Gzip=%s became %v", on, f.HTTP.Gzip)
		}
	}
}
