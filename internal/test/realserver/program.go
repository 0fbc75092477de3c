package realserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program finds a program that a test needs and returns its path. Where it is not
// installed the test is skipped. With CI=true in the environment it fails instead: what
// CI installs must not be left out there unnoticed.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := find(name)
	if err != nil {
		unavailable(t, name, err)
	}
	return path
}

// MissingFile names the environment variable of a file to which each program that a test has
// missed is appended, one a line: go test is silent about tests that were skipped.
const MissingFile = "ITERDNS_MISSING"

// unavailable ends a test for want of a program.
func unavailable(t testing.TB, what any, err error) {
	t.Helper()
	note(t, what)
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v is missing, and CI must not skip this test: %v", what, err)
	}
	t.Skipf("%v is not installed: %v", what, err)
}

// note appends what is missing to the file that the environment names.
func note(t testing.TB, what any) {
	t.Helper()
	name := os.Getenv(MissingFile)
	if name == "" {
		return
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = fmt.Fprintln(file, what)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Errorf("%s: %v", MissingFile, err)
	}
}

// find finds a program. Debian keeps daemons in /usr/sbin, which is not on the PATH of
// ordinary users.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if found, sbinErr := exec.LookPath(filepath.Join(dir, name)); sbinErr == nil {
			return found, nil
		}
	}
	return "", err
}
