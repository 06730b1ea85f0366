package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestOversizedRequest: a client that sends 10 MB before it looks for an answer
// reads 413 from a node, not a reset.
func TestOversizedRequest(t *testing.T) {
	n := startNode(t)
	conn, err := net.Dial("tcp", hostPort(t, n))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	const size = 10_000_000
	fmt.Fprintf(conn, "POST /?Format=JSON HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
	if _, err := conn.Write(bytes.Repeat([]byte("x"), size)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge || !bytes.Contains(body, []byte(`"Code":"RequestEntityTooLarge"`)) {
		t.Errorf("HTTP %d %v: %s", answer.StatusCode, err, body)
	}
}
