//go:build unix

package localroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What stands in the place of a file and is none costs no time.
func TestNoFile(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	written := make(chan struct{})
	go func() { // so that opening the pipe for reading returns
		defer close(written)
		if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			w.Close()
		}
	}()
	empty := filepath.Join(folder, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(folder, "dangling")
	if err := os.Symlink(filepath.Join(folder, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	for path, fault := range map[string]Fault{
		pipe: FaultSource, folder: FaultSource, empty: FaultSyntax, dangling: FaultSource, os.DevNull: FaultSource,
		filepath.Join(folder, "missing", "file"): FaultSource,
	} {
		_, err := runOnce(t, Source{Name: path, Path: path})
		if e := (*Error)(nil); !errors.As(err, &e) || e.Fault != fault {
			t.Errorf("%s: got %v, want fault %d", path, err, fault)
		}
	}
	if info, err := os.Lstat(dangling); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link: got %v, %v", info, err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	<-written
}
