package store_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/etcdkv"
)

const (
	crashDirEnv  = "OPENSLB_TEST_CRASH_DIR"
	crashWriters = 8
)

// crashStep is one transaction of a writer: four keys of three kinds, one of
// them a deletion, that only make sense together.
func crashStep(tx *store.Tx, writer string, n int) {
	lb, ok := tx.LoadBalancers.Edit(writer)
	if !ok {
		lb = sampleLoadBalancer(writer, 3)
	}
	lb.Bandwidth = n
	tx.LoadBalancers.Put(lb)
	tx.Addresses.Put(&slb.AddressClaim{Address: writer, LoadBalancerID: slb.LoadBalancerID(strconv.Itoa(n))})
	tx.ClientTokens.Delete(fmt.Sprintf("%s/%d", writer, n-1))
	tx.ClientTokens.Put(&slb.ClientToken{Token: fmt.Sprintf("%s/%d", writer, n)})
}

// crashChild is the process that gets killed: it writes as fast as it can and
// tells each step after it was acknowledged. It returns at once elsewhere.
func crashChild() {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		return
	}
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "crash test child:", err)
		os.Exit(1)
	}
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	k, err := etcdkv.Open(ctx, etcdkv.Config{Dir: dir, Logger: quiet})
	if err != nil {
		fail(err)
	}
	s, err := store.New(ctx, k, store.Options{Logger: quiet})
	if err != nil {
		fail(err)
	}
	var wg sync.WaitGroup
	for w := range crashWriters {
		wg.Go(func() {
			writer := fmt.Sprintf("w%d", w)
			for {
				n := 1
				if lb, ok := s.State().LoadBalancers.Get(writer); ok {
					n = lb.Bandwidth + 1
				}
				if _, err := s.Update(ctx, writer, func(tx *store.Tx) error {
					crashStep(tx, writer, n)
					return nil
				}); err != nil {
					fail(err)
				}
				// One write, so that the kill cannot cut or mix lines.
				os.Stdout.WriteString(fmt.Sprintf("%s %d\n", writer, n))
			}
		})
	}
	wg.Wait()
}

// What was acknowledged survives kill -9 at any moment, and no transaction is
// there in part.
func TestKilledProcessLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acked := map[string]int{}
	total := 0
	// On a slow machine most rounds may end before the first step; there are more
	// of them then.
	const rounds, most, enough = 6, 60, 100
	round := 0
	for ; round < rounds || total < enough && round < most; round++ {
		// The first round is given time to begin; later ones may be hit while they
		// recover from the one before.
		delay := time.Duration(random.IntN(500)) * time.Millisecond
		total += killDuringWrites(t, dir, round == 0, delay, acked)
		checkAfterCrash(t, dir, acked)
	}
	if total < enough {
		t.Fatalf("only %d steps were acknowledged in all rounds", total)
	}
	t.Logf("%d steps acknowledged in %d rounds", total, round)
}

// killDuringWrites runs the child, kills it after delay, counted from the first
// acknowledgement or from the start, and returns how many steps it told of.
func killDuringWrites(t *testing.T, dir string, fromFirst bool, delay time.Duration, acked map[string]int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { cmd.Process.Kill() } // has ended, then, if it fails
	var timer *time.Timer
	if !fromFirst {
		timer = time.AfterFunc(delay, kill)
	}
	steps := 0
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if timer == nil {
			timer = time.AfterFunc(delay, kill)
		}
		writer, text, _ := strings.Cut(sc.Text(), " ")
		n, err := strconv.Atoi(text)
		if err != nil || n <= acked[writer] {
			t.Fatalf("acknowledged %q after %d", sc.Text(), acked[writer])
		}
		acked[writer] = n
		steps++
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v\n%s", err, &stderr)
	}
	return steps
}

func checkAfterCrash(t *testing.T, dir string, acked map[string]int) {
	t.Helper()
	k, err := etcdkv.Open(t.Context(), etcdkv.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	s, err := store.New(t.Context(), k, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	state := s.State()
	for w := range crashWriters {
		writer := fmt.Sprintf("w%d", w)
		n := 0
		if lb, ok := state.LoadBalancers.Get(writer); ok {
			n = lb.Bandwidth
		}
		if n < acked[writer] {
			t.Errorf("%s: step %d was acknowledged, step %d is there", writer, acked[writer], n)
		}
		claim := slb.LoadBalancerID("")
		if a, ok := state.Addresses.Get(writer); ok {
			claim = a.LoadBalancerID
		}
		var tokens []string
		for key := range state.ClientTokens.Prefix(writer + "/") {
			tokens = append(tokens, key)
		}
		if n == 0 && claim == "" && len(tokens) == 0 {
			continue
		}
		if claim != slb.LoadBalancerID(strconv.Itoa(n)) || len(tokens) != 1 || tokens[0] != fmt.Sprintf("%s/%d", writer, n) {
			t.Errorf("%s: a transaction is there in part: instance at %d, address at %s, tokens %v", writer, n, claim, tokens)
		}
	}
}
