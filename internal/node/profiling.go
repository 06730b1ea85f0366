package node

import (
	"net/http"
	"net/http/pprof"
	"net/netip"
)

// withProfiles adds the pages of Go's profiler, for "go tool pprof". They are for
// this host alone: they tell of the program's insides, and a profile takes
// processor time from the traffic. Symbol and Cmdline are not among them: Go's
// profiles need neither. They belong to the process and stand before the gate of
// the API, which a profile of half a minute would keep from closing.
func withProfiles(gate http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", gate)
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /debug/pprof/":        pprof.Index, // and each named profile
		"GET /debug/pprof/profile": pprof.Profile,
		"GET /debug/pprof/trace":   pprof.Trace,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
				http.Error(w, "profiles are for callers on the node's own host", http.StatusForbidden)
				return
			}
			serve(w, r)
		})
	}
	return mux
}
