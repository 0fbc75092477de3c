package localroot

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

// On a disk that is full in truth the copy is used, the old file stays, and the file is written once
// there is room again.
func TestFileOnAFullDisk(t *testing.T) {
	const folder = "LOCALROOT_FULL_DISK"
	if os.Getenv(folder) == "" { // a process with a file system of its own
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileOnAFullDisk$", "-test.v")
		child.Env = append(os.Environ(), folder+"="+t.TempDir())
		child.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := child.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err != nil && !errors.As(err, &exit):
			t.Skip("no namespaces here: ", err)
		case err != nil:
			t.Errorf("%v:\n%s", err, out)
		default:
			t.Logf("%s", out)
		}
		return
	}
	disk := os.Getenv(folder)
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=32k"); err != nil {
		t.Skip("no file system in memory here: ", err)
	}
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(disk, "root.zone")
		w := newWorld(t, rootsigner.Options{Serial: 1}, func(c *Config) { c.File = path })
		w.start(t)
		mustHold(t, path, 1)
		ballast := filepath.Join(disk, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
		w.set(t, rootsigner.Options{Serial: 2})
		time.Sleep(31 * time.Minute)
		last := w.told()[len(w.told())-2] // before that of the round
		if s := w.State(); s.Serial != 2 || !s.InUse || s.Err != nil {
			t.Errorf("got %+v", s)
		}
		var failed *Error
		if !errors.As(last.Err, &failed) || failed.Fault != FaultFile || failed.Source != path || !errors.Is(last.Err, syscall.ENOSPC) {
			t.Errorf("got %v", last.Err)
		}
		mustHold(t, path, 1)
		if got := namesIn(t, disk); len(got) != 2 {
			t.Errorf("got %v", got)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		mustHold(t, path, 2)
	})
}
