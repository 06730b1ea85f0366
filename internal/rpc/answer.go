package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The content types, to the letter: the Tea SDKs compare the one for XML as text.
const (
	typeJSON = "application/json;charset=utf-8"
	typeXML  = "text/xml;charset=utf-8"
)

// shown is the error as the caller may see it.
func (h *Handler) shown(err error) *Error {
	if e, ok := errors.AsType[apiError](err); ok {
		status, code, message := e.HTTPStatus(), e.APICode(), e.APIMessage()
		if status >= 400 && status <= 599 && code != "" {
			return &Error{Status: status, Code: code, Message: message}
		}
		return errInternal // an error that would look like none
	}
	if _, ok := errors.AsType[*unavailable](err); ok || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errUnavailable
	}
	return errInternal
}

// appendError appends the body of an error.
func (h *Handler) appendError(b []byte, c *call, r *http.Request, e *Error) []byte {
	host := h.opts.HostID
	if host == "" {
		host = r.Host
	}
	product := h.product
	if c.entry != nil {
		product = c.entry.product
	}
	recommend := "https://api.aliyun.com/troubleshoot?q=" + e.Code + "&product=" + product + "&requestId=" + c.id
	fields := [...]pair{{"RequestId", c.id}, {"HostId", host}, {"Code", e.Code}, {"Message", e.Message}, {"Recommend", recommend}}
	if c.json {
		for i, f := range fields {
			b = append(b, "{,"[min(i, 1)])
			b = appendJSONString(b, f.name)
			b = append(b, ':')
			b = appendJSONString(b, f.value)
		}
		return append(b, '}')
	}
	b = append(b, xmlDeclaration...)
	b = append(b, "<Error>"...)
	for _, f := range fields {
		b = appendXMLElement(b, f.name, f.value)
	}
	return append(b, "</Error>"...)
}

func write(w http.ResponseWriter, c *call, status int, body []byte) {
	header := w.Header()
	contentType := typeXML
	if c.json {
		contentType = typeJSON
	}
	header["Content-Type"] = []string{contentType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Acs-Request-Id"] = []string{c.id}
	header["Cache-Control"] = []string{"no-store"}
	header["X-Content-Type-Options"] = []string{"nosniff"} // errors repeat what was sent
	w.WriteHeader(status)
	w.Write(body) // a caller who has left needs no answer
}

// report writes one log line and tells the observer. Parameters never appear:
// uploads carry private keys in the query. Reads that went well are logged at
// debug level, so that the log of a normal day is a list of changes and faults.
func (h *Handler) report(r *http.Request, c *call, status int, code string, err error) {
	duration := time.Since(c.start)
	info := CallInfo{RequestID: c.id, Status: status, Code: code, Duration: duration}
	if c.entry != nil {
		info.Product, info.Action = c.entry.product, c.entry.action.Name
		info.Read = isRead(info.Action)
	}
	info.Remote, _ = netip.ParseAddrPort(r.RemoteAddr) // zero on other than TCP
	if c.trusted {
		info.AccessKeyID = c.keyID
		if !info.Read {
			info.Params = h.told(c.params)
		}
	}
	if h.opts.OnCall != nil {
		h.opts.OnCall(info)
	}
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case status == http.StatusOK && isRead(info.Action):
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !h.opts.Logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("action", info.Action), slog.String("key", c.keyID), slog.String("request", c.id),
		slog.Int("status", status), slog.String("code", code), slog.Duration("duration", duration))
	if status >= 500 && err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
		if p, ok := errors.AsType[*panicked](err); ok {
			attrs = append(attrs, slog.String("stack", string(p.stack)))
		}
	}
	h.opts.Logger.LogAttrs(ctx, level, "call", attrs...)
}

// isRead goes by the vendor's habit of naming.
func isRead(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "List") || strings.HasPrefix(action, "Get")
}

// told picks the parameters that OnCall is told.
func (h *Handler) told(all form) map[string]string {
	if len(h.opts.Tell) == 0 {
		return nil
	}
	out := make(map[string]string)
	for _, p := range all {
		name, _, _ := strings.Cut(p.name, ".")
		if slices.Contains(h.opts.Tell, name) {
			out[p.name] = p.value
		}
	}
	return out
}
