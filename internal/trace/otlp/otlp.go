// Package otlp sends spans to a receiver of OpenTelemetry, over HTTP or gRPC.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/openslb/openslb/internal/trace"
)

// Options of an Exporter. All are required.
type Options struct {
	// Endpoint is the URL of the receiver: http or https for OTLP over HTTP, where
	// a path may follow and is /v1/traces otherwise; grpc or grpcs, which is over
	// TLS, for OTLP over gRPC. The variables OTEL_EXPORTER_OTLP_HEADERS,
	// _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY, _COMPRESSION and _TIMEOUT of
	// the environment have their usual meaning.
	Endpoint string
	// Service and Node are what receivers know the spans' origin by: service.name
	// and service.instance.id.
	Service, Node string
	// Version of the program.
	Version string
}

// Exporter sends spans to one receiver.
type Exporter struct {
	client   otlptrace.Client
	resource *resource.Resource
	scope    *common.InstrumentationScope
	encoder  encoder
}

// Of what is tried again: a receiver that is busy or restarts. The trace package
// bounds all attempts together.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Second
	retryFor   = 15 * time.Second
)

// New prepares an exporter. It connects with the first spans.
func New(o Options) (*Exporter, error) {
	client, err := newClient(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := client.Start(context.Background()); err != nil {
		return nil, fmt.Errorf("trace endpoint %s: %w", o.Endpoint, err)
	}
	return &Exporter{
		client:   client,
		resource: &resource.Resource{Attributes: []*common.KeyValue{text("service.name", o.Service), text("service.instance.id", o.Node), text("service.version", o.Version)}},
		scope:    &common.InstrumentationScope{Name: "openslb", Version: o.Version},
	}, nil
}

// newClient makes the client that an endpoint asks for.
func newClient(endpoint string) (otlptrace.Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may have a password
		}
		return nil, err
	}
	if p := u.Port(); p != "" {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return nil, fmt.Errorf("port %s: want a number up to 65535", p)
		}
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("want scheme://host:port, and a path at most")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces"
		}
		return otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(u.String()),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: retryFor})), nil
	case "grpc", "grpcs":
		if u.Port() == "" || u.Path != "" {
			return nil, fmt.Errorf("want %s://host:port", u.Scheme)
		}
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(u.Host),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: retryFor})}
		if u.Scheme == "grpc" {
			options = append(options, otlptracegrpc.WithInsecure())
		}
		return otlptracegrpc.NewClient(options...), nil
	}
	return nil, errors.New("the scheme is none of http, https, grpc and grpcs")
}

// Check tells whether an endpoint can be used.
func Check(endpoint string) error {
	_, err := newClient(endpoint)
	return err
}

// maxKept is how much memory is kept for the next spans.
const maxKept = 1 << 20

// Export sends spans; see trace.Options. There may be one call at a time. A
// receiver that rejects spans does not say whose they are: each may have been
// that of another request.
func (e *Exporter) Export(ctx context.Context, spans []*trace.Span) error {
	if e.encoder.out = e.encoder.out[:0]; cap(e.encoder.out) > maxKept {
		e.encoder.out = nil
	}
	for _, s := range spans {
		e.encoder.add(s)
	}
	scope := &wire.ScopeSpans{Scope: e.scope, SchemaUrl: schema}
	// To the library they are fields that it does not know, which it sends as they
	// are; to the receiver they are spans like any others.
	scope.ProtoReflect().SetUnknown(e.encoder.out)
	err := e.client.UploadTraces(ctx, []*wire.ResourceSpans{{Resource: e.resource, ScopeSpans: []*wire.ScopeSpans{scope}}})
	if n, ok := rejected(err); ok {
		return &trace.Rejected{Requests: n, Err: err}
	}
	return err
}

// rejected reads how many spans a receiver rejected of a request that it took.
// The library has a type for that, and keeps it to itself: it is known by its
// form.
func rejected(err error) (n int, ok bool) {
	var partial interface {
		error
		As(target any) bool
	}
	if !errors.As(err, &partial) {
		return 0, false
	}
	v := reflect.ValueOf(partial)
	if v.Kind() != reflect.Struct {
		return 0, false
	}
	if v = v.FieldByName("RejectedItems"); !v.IsValid() || !v.CanInt() {
		return 0, false
	}
	return int(max(v.Int(), 0)), true
}

// text makes an attribute.
func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

// Close ends the connection to the receiver.
func (e *Exporter) Close(ctx context.Context) error { return e.client.Stop(ctx) }
