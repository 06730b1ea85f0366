package system

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// largeServer answers every request with a body larger than the buffers of the
// sockets on its way.
func largeServer(t testing.TB) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("large "), 1<<20)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// TestSlowClients lets slowhttptest attack a listener in all its modes at once:
// heads that never end, bodies by the byte, answers read by the byte, and ranges
// by the hundred. Other clients of the same listener and the same node must not
// notice, what it takes of memory is bounded, and nothing is left of it.
func TestSlowClients(t *testing.T) {
	tool := testutil.Tool(t, "slowhttptest")
	testutil.NoLeaks(t)
	web := testutil.HTTPServers(t, "quick-1")
	large := largeServer(t)
	c := startNode(t)
	c.register(web...)
	c.call("RegisterServer", "ServerId", "large-1", "Address.1", large.Addr())

	b := c.balancer("attacked")
	b.add(entry{web[0].ID, 100})
	quick := b.listen("HTTP", httpPort, web[0].Addr().Port(), append([]any{"RequestTimeout", 2}, off...)...)
	other := c.balancer("slowly-read")
	other.add(entry{"large-1", 100})
	slow := other.listen("HTTP", httpPort, large.Port(), append([]any{"RequestTimeout", 2}, off...)...)

	load := testutil.StartLoad(t)
	load.HTTP(quick, 20, 20*time.Millisecond)
	descriptors := openDescriptors(t)
	before := memoryInUse()

	const each = "150"
	var attacks sync.WaitGroup
	outputs := make([]bytes.Buffer, 4)
	for i, mode := range [][]string{
		{"-H", "-u", "http://" + quick.String() + "/", "-i", "1"},
		{"-B", "-u", "http://" + quick.String() + "/", "-i", "1", "-s", "8192"},
		{"-X", "-u", "http://" + slow.String() + "/", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"},
		{"-R", "-u", "http://" + quick.String() + "/", "-a", "1", "-b", "3000"},
	} {
		cmd := exec.Command(tool, append(mode, "-c", each, "-r", each, "-l", "6")...)
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		attacks.Go(func() { _ = cmd.Wait() }) // its exit code tells nothing
	}
	done := make(chan struct{})
	go func() {
		attacks.Wait()
		close(done)
	}()
	peak, during := uint64(0), load.Requests()
	for attacked := true; attacked; {
		select {
		case <-done:
			attacked = false
		case <-time.After(100 * time.Millisecond):
			peak = max(peak, memoryInUse())
		}
	}
	during = load.Requests() - during
	if n, some := load.Faults(); n > 0 {
		t.Errorf("others saw %d faults: %v", n, some)
	}
	for i := range outputs {
		if !bytes.Contains(outputs[i].Bytes(), []byte("Exit status")) {
			t.Errorf("attack %d did not take place: %s", i, &outputs[i])
		}
	}
	t.Logf("%d requests of others meanwhile, %d kB more memory at most", during, int64(peak-before)>>10)
	// Six hundred connections with a head, two buffers and an answer each.
	if peak > before+160<<20 {
		t.Errorf("from %d to %d bytes of memory", before, peak)
	}
	if during < 200 {
		t.Errorf("others had %d answers only", during)
	}
	slowHeads := fmt.Sprintf(`openslb_frontend_slow_clients_total{load_balancer=%q,port="%d",protocol="http",reason="head"}`, b.id, httpPort)
	if n := c.figures()[slowHeads]; n < 100 {
		t.Errorf("%d heads of 150 are counted as slow", n)
	}
	load.Stop()
	testutil.Eventually(t, 30*time.Second, "all descriptors are given back", func() bool { return openDescriptors(t) <= descriptors })
}

// TestSlowHead: a head that does not end in time is answered, however busily its
// client goes on.
func TestSlowHead(t *testing.T) {
	testutil.NoLeaks(t)
	web := testutil.HTTPServers(t, "i-1")
	c := startNode(t)
	c.register(web...)
	b := c.balancer("slow")
	b.add(entry{web[0].ID, 100})
	addr := b.listen("HTTP", httpPort, web[0].Addr().Port(), append([]any{"RequestTimeout", 1}, off...)...)
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n")
		for n := 0; err == nil; n++ {
			_, err = fmt.Fprintf(conn, "X-%d: y\r\n", n)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	line, err := bufio.NewReader(conn).ReadString('\n')
	close(stop)
	writing.Wait()
	if err != nil || line != "HTTP/1.1 408 Request Timeout\r\n" {
		t.Errorf("answer %q, %v", line, err)
	}
}

// openDescriptors counts those of this process.
func openDescriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// memoryInUse is what the heap and the stacks take.
func memoryInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
