package testutil

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildProgram builds the program of the module into a directory, with the race
// detector or without, and gives its path. It is for tests in packages two levels
// below the root. The sources of main are opened here as well: the test cache does
// not know that the outcome depends on them.
func BuildProgram(dir string, race bool) (string, error) {
	main := filepath.Join("..", "..", "cmd", "openslb")
	files, err := filepath.Glob(filepath.Join(main, "*.go"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no sources in %s: %w", main, err)
	}
	for _, f := range files {
		if _, err := os.ReadFile(f); err != nil {
			return "", err
		}
	}
	bin := filepath.Join(dir, "openslb")
	// The packages are those that "make build" or "make race" have built.
	flags := []string{"-trimpath"}
	if race {
		flags = []string{"-race", "-pgo=off"}
	}
	args := append([]string{"build", "-o", bin}, flags...)
	if out, err := exec.Command("go", append(args, "./"+main)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return bin, nil
}
