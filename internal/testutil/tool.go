package testutil

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Tool gives the path of an outside program that a test compares with or drives,
// such as nginx or h2spec. Without the program the test is skipped, except in CI
// (a non-empty variable CI), where "make peers" has to have installed it.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin", goBin()} { // not on every user's path
		if err == nil {
			return path
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	if err != nil {
		lacks(t, "%s is not installed; see \"make peers\"", name)
	}
	return path
}

// Root skips a test that needs root, for network namespaces and the like, and
// with that the rights of root, which many containers lack. In CI it fails
// instead.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		lacks(t, "needs root")
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var rights [2]unix.CapUserData
	if err := unix.Capget(&header, &rights[0]); err != nil {
		t.Fatalf("read the rights of this process: %v", err)
	}
	for name, right := range map[string]int{"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN} {
		if rights[right/32].Effective&(1<<(right%32)) == 0 {
			lacks(t, "root lacks %s", name)
		}
	}
}

func lacks(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI must have what this test needs: "+format, args...)
	}
	t.Skipf(format, args...)
}

// goBin is where "go install" puts programs unless told otherwise.
func goBin() string {
	if dir := os.Getenv("GOBIN"); dir != "" {
		return dir
	}
	if dir := os.Getenv("GOPATH"); dir != "" {
		return filepath.Join(filepath.SplitList(dir)[0], "bin")
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, "go", "bin")
}
