package realserver

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// readyWithin bounds the wait for a daemon that starts, and is no measure of
	// how long one takes: the root zone is loaded in about a second, but a busy
	// machine with two cores may need many.
	readyWithin = 60 * time.Second

	// pollInterval is the pause between tries whether a daemon is ready.
	pollInterval = 20 * time.Millisecond

	// stopWithin is how long a daemon may take to end after SIGTERM.
	stopWithin = 10 * time.Second

	// logTail is how many bytes of a daemon's log a failed test prints.
	logTail = 4 << 10
)

// Process is a daemon that runs in the foreground.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended and was waited for
	stop  sync.Once
}

// Run starts a daemon that Debian ships, by the name of its program, in dir, where what it
// prints is added to the file log. The AppArmor profile that Debian gives it does not
// apply, and the kernel ends it when this process dies without having done so. It is an
// error if the program is not installed.
func Run(dir, program string, arguments ...string) (*Process, error) {
	binary, err := find(program)
	if err != nil {
		return nil, err
	}
	if binary, err = unconfined(binary, dir); err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(binary, arguments...), ended: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.SysProcAttr = endWithParent()
	log, err := os.OpenFile(p.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own descriptor
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in its log
	}()
	return p, nil
}

// EndWith stops the daemon when the test ends, and prints its log if the test failed.
func (p *Process) EndWith(t testing.TB) {
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.name(), p.Log())
		}
	})
}

// errEnded says that a process ended before it was ready.
var errEnded = errors.New("the process has ended")

// Await tries until that works. After a minute it fails with what is wrong then, and at
// once when the daemon has ended.
func (p *Process) Await(try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errEnded
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

// Stop ends the daemon and waits for it. Later calls do nothing.
func (p *Process) Stop() {
	p.stop.Do(func() {
		goOn(p.cmd.Process.Pid) // one that is paused does not end
		// An error means that the process has ended, or that the system has no
		// SIGTERM; Kill below is for the second.
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err == nil {
			select {
			case <-p.ended:
				return
			case <-time.After(stopWithin):
			}
		}
		p.kill()
	})
}

// Kill ends the daemon at once, as a crash does, with all its processes, and waits for it.
// Stop does nothing after that.
func (p *Process) Kill() {
	p.stop.Do(p.kill)
}

// kill ends the daemon with its children, which would write on in files that are about to be removed.
func (p *Process) kill() {
	signalGroup(p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.cmd.Process.Kill() // where there are no groups of processes
	<-p.ended
}

// Pause stops the daemon where it is, with all its processes, until Resume or Stop: it keeps
// its sockets, which take what arrives, and says nothing. The test is skipped where the
// system cannot do that.
func (p *Process) Pause(t testing.TB) {
	t.Helper()
	switch err := halt(p.cmd.Process.Pid); {
	case errors.Is(err, errors.ErrUnsupported):
		t.Skipf("pause %s: %v", p.name(), err)
	case err != nil:
		t.Fatalf("pause %s: %v", p.name(), err)
	}
}

// Resume lets a daemon go on that Pause has stopped. It then answers what has come meanwhile.
func (p *Process) Resume(t testing.TB) {
	t.Helper()
	if err := goOn(p.cmd.Process.Pid); err != nil {
		t.Errorf("resume %s: %v", p.name(), err)
	}
}

// Log returns the end of what the daemon has printed.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}

func (p *Process) logPath() string { return filepath.Join(p.cmd.Dir, "log") }

func (p *Process) name() string { return filepath.Base(p.cmd.Path) }
