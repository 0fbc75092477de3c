// Package realdata finds real data that tests use when it is at hand: a signed root
// zone, recorded answers, test zones of other projects. It is kept outside the
// repository, in a folder "shared" beside it.
package realdata

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// variable names the environment variable that says where the folder is, if it is not
// beside the repository.
const variable = "ITERDNS_SHARED"

// Path returns the path of a file below data/real in the folder. The test is skipped when
// there is no such folder, and fails when the folder lacks the file.
func Path(t testing.TB, name string) string {
	t.Helper()
	folder, err := folder()
	if err != nil {
		t.Skipf("real data is not here: %v", err)
	}
	path := filepath.Join(folder, "data", "real", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("real data: %v", err)
	}
	return path
}

// folder finds the folder. Tests run in the directory of their package, so it is beside
// one of the directories above that have a go.mod.
func folder() (string, error) {
	if named := os.Getenv(variable); named != "" {
		_, err := os.Stat(named)
		return named, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			beside := filepath.Join(filepath.Dir(dir), "shared")
			if _, err := os.Stat(beside); err == nil {
				return beside, nil
			}
		}
		dir = filepath.Dir(dir)
	}
	return "", errors.New("no folder shared beside the repository")
}
