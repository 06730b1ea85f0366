package rpc

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"runtime/debug"
	"time"

	"golang.org/x/time/rate"
)

// Handler answers API calls on the path "/". It is safe for concurrent use.
type Handler struct {
	opts     Options
	verifier verifier
	throttle throttle
	product  string // named in errors of requests that reach none
}

// NewHandler makes a Handler. It panics if Mux or Keys are missing.
func NewHandler(opts Options) *Handler {
	opts = opts.withDefaults()
	h := &Handler{
		opts:     opts,
		verifier: verifier{keys: opts.Keys, nonces: newNonceStore(opts.MaxNonces, opts.Nonces, opts.Now()), now: opts.Now},
		throttle: throttle{perSecond: rate.Limit(opts.CallsPerSecond), burst: opts.Burst},
		product:  "Slb",
	}
	if len(opts.Mux.products) > 0 {
		h.product = opts.Mux.products[0].Name
	}
	return h
}

// call is one request on its way through the handler.
type call struct {
	id      string
	start   time.Time
	json    bool   // the form of the answer
	entry   *entry // nil until version and action are known
	keyID   string // empty until the store knows the key
	trusted bool   // signature and nonce were right
	params  form   // once trusted
}

// ServeHTTP answers one call. Whatever an action does, even a panic, the caller
// gets a well-formed answer.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{id: newRequestID(), start: time.Now(), json: accepts(r, "json")}
	buf := getBuffer()
	defer buf.free()
	status, code := http.StatusOK, ""
	body, err := h.contain(c, r, buf.b)
	if err != nil {
		shown := h.shown(err)
		status, code = shown.Status, shown.Code
		body = h.appendError(buf.b, c, r, shown)
	}
	write(w, c, status, body)
	buf.b = body
	h.report(r, c, status, code, err)
}

// contain runs the call, appends its answer to b, and turns a panic into an
// error.
func (h *Handler) contain(c *call, r *http.Request, b []byte) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{value: p, stack: debug.Stack()}
		}
	}()
	result, err := h.run(c, r)
	if err != nil {
		return nil, err
	}
	a := &c.entry.action
	if c.json {
		return appendJSONResult(b, a.result, result, c.id), nil
	}
	return appendXMLResult(b, a.Name, a.result, result, c.id), nil
}

// panicked is a panic of one call.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// run takes the call through the checks in their order: method, version,
// action, signature and all that belongs to it, throttling, parameters; then
// the action itself.
func (h *Handler) run(c *call, r *http.Request) (result reflect.Value, err error) {
	if r.URL.Path != "/" && r.URL.Path != "" {
		return result, errAction
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return result, errMethod
	}
	in, err := h.read(r)
	c.json = in.wantsJSON(r)
	if err != nil {
		return result, err
	}
	version, action := in.all.get("Version"), in.all.get("Action")
	if in.v3 {
		version, action = r.Header.Get("x-acs-version"), r.Header.Get("x-acs-action")
	}
	if version == "" {
		return result, missingCommon("Version")
	}
	if action == "" {
		return result, missingCommon("Action")
	}
	if c.entry, err = h.opts.Mux.find(version, action); err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.opts.CallTimeout)
	defer cancel()
	if in.v3 {
		c.keyID, err = h.verifier.v3(ctx, r, in.query, in.body)
	} else {
		c.keyID, err = h.verifier.v1(ctx, r.Method, in.all)
	}
	if err != nil {
		return result, err
	}
	c.trusted, c.params = true, in.all
	if !h.throttle.allow(c.keyID, c.start) {
		return result, errThrottledUser
	}
	remote, _ := netip.ParseAddrPort(r.RemoteAddr) // zero on other than TCP
	ctx = WithCaller(ctx, Caller{AccessKeyID: c.keyID, RequestID: c.id, Action: c.entry.action.Name,
		RegionID: in.all.get("RegionId"), Remote: remote})
	return c.entry.action.run(ctx, in.all)
}
