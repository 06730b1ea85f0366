// Package grpctest has the two ends of a gRPC stream in which messages go back
// and forth, by the library that most users of gRPC have.
package grpctest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Codec is for messages that are bytes: they are sent and received as *[]byte.
type Codec struct{}

// Marshal implements encoding.Codec.
func (Codec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

// Unmarshal implements encoding.Codec.
func (Codec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }

// Name implements encoding.Codec.
func (Codec) Name() string { return "bare" }

// Serve has a server of HTTP/2 without TLS behind the listener until the test
// ends. It runs handle for calls of any method.
func Serve(t testing.TB, l net.Listener, handle func(method string, st grpc.ServerStream) error) {
	s := grpc.NewServer(grpc.ForceServerCodec(Codec{}), grpc.UnknownServiceHandler(func(_ any, st grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(st)
		return handle(method, st)
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
}

// Echo is a handler that sends every message back until the client has no more.
func Echo(_ string, st grpc.ServerStream) error {
	for {
		var m []byte
		if err := st.RecvMsg(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := st.SendMsg(&m); err != nil {
			return err
		}
	}
}

// NewClient returns a client over TLS that does not mind whose certificate it
// gets. The caller closes it.
func NewClient(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr, append(more,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(Codec{})))...)
}

// Open begins a call in which both sides send as many messages as they like.
func Open(ctx context.Context, c *grpc.ClientConn, method string) (grpc.ClientStream, error) {
	return c.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
}

// Exchange sends a message on a stream of Echo, and has to get it back.
func Exchange(st grpc.ClientStream, text string) error {
	m := []byte(text)
	if err := st.SendMsg(&m); err != nil {
		// The reason is told to who receives.
		return fmt.Errorf("send: %w", errors.Join(err, st.RecvMsg(&m)))
	}
	var got []byte
	if err := st.RecvMsg(&got); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if string(got) != text {
		return fmt.Errorf("%q came back for %q", got, text)
	}
	return nil
}

// End tells the server that there is nothing more, and has to hear the same.
func End(st grpc.ClientStream) error {
	if err := st.CloseSend(); err != nil {
		return err
	}
	var m []byte
	if err := st.RecvMsg(&m); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%q, %w at the end of the stream", m, err)
	}
	return nil
}
