//go:build unix

package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childJob names in the environment what the test binary is to do as a child of itself.
const childJob = "ITERDNS_TRANSPORT_CHILD"

// startChild runs the test binary once more, to do a job of TestChild. Its lines come one by
// one; it ends when in is closed, or with the test.
func startChild(t testing.TB, job string, wrapper ...string) (child *exec.Cmd, in io.Closer, lines *bufio.Scanner) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrapper, binary, "-test.run=^TestChild$", "-test.count=1")
	child = exec.CommandContext(t.Context(), args[0], args[1:]...)
	child.Env = append(os.Environ(), childJob+"="+job)
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		child.Wait()
	})
	return child, stdin, bufio.NewScanner(stdout)
}

// childLine returns the next line of a child that begins with prefix, without that.
func childLine(t testing.TB, lines *bufio.Scanner, prefix string) string {
	t.Helper()
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), prefix+" "); ok {
			return rest
		}
	}
	t.Fatalf("the child has ended without a line %q", prefix)
	return ""
}

// echoInChild starts a server in a process of its own, so that what it does is not counted.
func echoInChild(t testing.TB) netip.AddrPort {
	t.Helper()
	_, _, lines := startChild(t, "echo")
	return netip.MustParseAddrPort(childLine(t, lines, "address"))
}

// TestChild is what children of other tests do.
func TestChild(t *testing.T) {
	job, argument, _ := strings.Cut(os.Getenv(childJob), " ")
	if job != "" && job != "echo" {
		time.AfterFunc(time.Minute, func() { debug.SetTraceback("all"); panic("stuck") })
	}
	switch job {
	case "":
		t.Skip("it is for other tests")
	case "echo":
		s := newPeer(t)
		fmt.Println("address", s.addr)
		go s.echo()
		io.Copy(io.Discard, os.Stdin)
	case "starve":
		starve(netip.MustParseAddrPort(argument))
	case "descriptors":
		exhaustDescriptors(t, netip.MustParseAddrPort(argument))
	case "roundtrips":
		roundTrips(t, netip.MustParseAddrPort(argument))
	}
}

// starvedFor is how long the waits of TestStarved last, which run at once: enough to stop the process
// meanwhile on a machine that is busy too.
const starvedFor = 5 * time.Second

// starve waits in each way for a reply, and says what came of it.
func starve(server netip.AddrPort) {
	var waits sync.WaitGroup
	for _, way := range ways {
		for _, how := range []string{"Await", "Send"} {
			waits.Go(func() {
				tr := way.make(Options{})
				defer tr.Close()
				until := time.Now().Add(starvedFor)
				var err error
				if how == "Send" {
					ctx, cancel := context.WithDeadline(context.Background(), until)
					defer cancel()
					_, err = tr.Exchange(ctx, "udp", server, message(7, 40, 'q'))
				} else if p, failed := tr.Begin(context.Background(), server, message(7, 40, 'q')); failed == nil {
					_, err = p.Await(until, nil)
					p.Close()
				}
				fmt.Printf("outcome %s, %s: %v after its time %t\n", way.name, how, err, time.Now().After(until))
			})
		}
	}
	waits.Wait()
}

// A host that had no time to look at the reply while it was in time does not take it for late.
func TestStarved(t *testing.T) {
	if testing.Short() {
		t.Skip("waits while a process is stopped")
	}
	server := newPeer(t)
	child, _, lines := startChild(t, "starve "+server.addr.String())
	defer child.Process.Signal(syscall.SIGCONT) // or it would not end
	var from []netip.AddrPort
	want := make(map[string]bool)
	for _, way := range ways {
		for _, how := range []string{"Await", "Send"} {
			_, addr := server.query()
			from = append(from, addr)
			want[fmt.Sprintf("%s, %s: <nil> after its time true", way.name, how)] = true
		}
	}
	child.Process.Signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the child did not stop: %v, %v", status, err)
	}
	for _, addr := range from {
		server.send(addr, message(7, 40, 'r'))
	}
	time.Sleep(starvedFor + 50*time.Millisecond)
	child.Process.Signal(syscall.SIGCONT)
	for range from {
		if got := childLine(t, lines, "outcome"); !want[got] {
			t.Errorf("got %q, want one of %v", got, want)
		} else {
			delete(want, got)
		}
	}
}

// Without descriptors a query fails with the error of the system, and costs nothing.
func TestDescriptorsExhausted(t *testing.T) {
	server := newPeer(t)
	go server.echo()
	_, _, lines := startChild(t, "descriptors "+server.addr.String())
	if got := childLine(t, lines, "outcome"); got != "ok" {
		t.Error(got)
	}
}

func exhaustDescriptors(t *testing.T, server netip.AddrPort) {
	t.Cleanup(func() {
		if !t.Failed() {
			fmt.Println("outcome ok")
		}
	})
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, way := range ways {
		tr := way.make(Options{})
		var spent []*os.File
		for range 64 {
			if f, err := os.Open(os.DevNull); err == nil {
				spent = append(spent, f)
			}
		}
		none := func() {
			_, err := tr.Begin(t.Context(), server, message(7, 40, 'q'))
			if wantError(t, err, syscall.EMFILE, "dial", false); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("%s: got %v, want EMFILE", way.name, err)
			}
			wantOpen(t, tr, 0, 0)
		}
		free := func() {
			spent[0].Close()
			spent = spent[1:]
		}
		none()
		free()
		if tr.poller != nil {
			none() // one is enough for the socket, but not for the poller
			free()
		}
		for range 2 {
			if _, err := tr.Exchange(t.Context(), "udp", server, message(7, 40, 'q')); err != nil {
				t.Errorf("%s: got %v with a descriptor free", way.name, err)
			}
		}
		for _, f := range spent {
			f.Close()
		}
		tr.Close()
	}
}

// roundTrip is Begin, Await and Close.
func roundTrip(tr *Transport, server netip.AddrPort, query []byte) error {
	p, err := tr.Begin(context.Background(), server, query)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Await(soon(), nil)
	return err
}

const childRoundTrips = 200

func roundTrips(t *testing.T, server netip.AddrPort) {
	tr := New(Options{})
	defer tr.Close()
	for range childRoundTrips {
		if err := roundTrip(tr, server, message(7, 40, 'q')); err != nil {
			t.Fatal(err)
		}
	}
}

// The numbers of allocations are what they are in the usual case: nobody else allocates here.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("pools do not keep everything")
	}
	server := echoInChild(t)
	for _, test := range []struct {
		way  int
		want float64
	}{{0, 2}, {1, 17}} {
		if test.way == 0 && runtime.GOOS != "linux" {
			continue
		}
		tr := ways[test.way].make(Options{})
		query := message(7, 40, 'q')
		got := testing.AllocsPerRun(200, func() {
			if err := roundTrip(tr, server, query); err != nil {
				t.Fatal(err)
			}
		})
		if got > test.want {
			t.Errorf("%s: got %v allocations for a query and its reply, want at most %v", ways[test.way].name, got, test.want)
		}
		tr.Close()
	}
}

// BenchmarkRoundTrip is one query and its reply over loopback, with 1 query and with 50 at once
// for each thread. The server is a process of its own, so that cpu-ns/op is what this host works
// for the query.
//
// System calls on Linux: see TestSystemCalls; with package net they are 13.
func BenchmarkRoundTrip(b *testing.B) {
	server := echoInChild(b)
	query := message(7, 40, 'q')
	question, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	begin := func(tr *Transport) error { return roundTrip(tr, server, query) }
	send := func(tr *Transport) error {
		ctx, cancel := context.WithTimeout(question, time.Minute)
		defer cancel()
		_, err := tr.Exchange(ctx, "udp", server, query)
		return err
	}
	for _, how := range []struct {
		name     string
		portable bool
		once     func(tr *Transport) error
	}{{"raw", false, begin}, {"portable", true, begin}, {"Send", false, send}, {"SendPortable", true, send}} {
		for _, atOnce := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/%d", how.name, atOnce), func(b *testing.B) {
				tr := New(Options{})
				defer tr.Close()
				if how.portable {
					tr.poller = nil
				}
				b.ReportAllocs()
				b.SetParallelism(atOnce)
				start := cpuTime()
				if atOnce == 1 {
					for b.Loop() {
						if err := how.once(tr); err != nil {
							b.Fatal(err)
						}
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := how.once(tr); err != nil {
								b.Error(err)
							}
						}
					})
				}
				b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpuTime returns what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
