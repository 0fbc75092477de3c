package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestEveryLine: each line of a list has its line in the output, good or bad, and none stops the run.
func TestEveryLine(t *testing.T) {
	list := "\xef\xbb\xbfn1.host0.example\r\n" +
		"n2.host1.example A,AAAA,MX\n" +
		"n2.host1.example\nn2.host1.example\n" + // duplicates
		"foo bar.example\nhttps://n1.host0.example/\n*.host0.example\n" +
		strings.Repeat("a", 300) + "\n" + strings.Repeat("b", 5000) + "\n" +
		"\x00\x01\xfe\n" +
		"n3.host0.example NOTYPE\n192.0.2.1\na..b\n" +
		"bücher.host1.example\n" +
		"none.empty0.example\nnone.empty1.example\nn1.host0.example TXT\n" +
		"n1.bogus.example"
	synctest.Test(t, func(t *testing.T) {
		got := bulk(t, list, "-mock", "mock.txt")
		if got.status != exitFailures {
			t.Errorf("got status %d, want %d: %s", got.status, exitFailures, got.stderr)
		}
		bySeq := bySeq(t, got.records)
		for i, want := range []string{
			"A answer secure", "A answer insecure", "AAAA answer insecure", "MX answer insecure",
			"A answer insecure", "A answer insecure",
			"input", "input", "input", "input", "input", "input", "input", "input", "input",
			"A answer insecure", "A nxdomain secure", "A nxdomain insecure", "TXT nodata secure", "A error bogus",
		} {
			r, ok := bySeq[uint64(i+1)]
			text := r.Type + " " + string(r.Status) + " " + r.DNSSEC
			if r.Reason == reasonInput {
				text = "input"
			}
			if !ok || text != want {
				t.Errorf("question %d, %.40q: got %q, want %q (%+v)", i+1, r.Input, text, want, r)
			}
		}
		if len(got.records) != 20 {
			t.Errorf("got %d lines, want 20", len(got.records))
		}
		if r := bySeq[20]; r.Reason != reasonBogus || len(r.EDE) != 1 || r.EDE[0].Code != dns.ExtendedErrorCodeDNSBogus {
			t.Errorf("got %+v, want the reason bogus and its extended error", r)
		}
	})
}

// TestRecord: a line has what a question was answered with and what that cost. No TTL is longer than
// that of the delegation of an unsigned zone.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := bulk(t, "n1.alias.example", "-mock", "mock.txt")
		if len(got.records) != 1 || got.status != exitDone {
			t.Fatalf("got %+v, want one line", got)
		}
		r := got.records[0]
		want := []answerRecord{
			{"n1.alias.example.", 300, "CNAME", "www.host1.example."},
			{"www.host1.example.", 3600, "A", "203.0.113.2"},
		}
		if !slices.Equal(r.Answer, want) || r.Rcode != "NOERROR" || r.TTL == nil || *r.TTL != 300 || r.Attempts != 1 {
			t.Errorf("got %+v, want %+v with a TTL of 300", r, want)
		}
		if r.Queries < 4 || len(r.Servers) < 3 || r.TimeMS < 80 {
			t.Errorf("got %d queries to %v in %v ms, want those to the root and three zones", r.Queries, r.Servers, r.TimeMS)
		}
		if !strings.Contains(got.stderr, "1 questions: 1 answers") {
			t.Errorf("got the summary %q", got.stderr)
		}
	})
}

// TestTypeTexts: each type is written so that the schema allows it and a list can have it, in the data of
// signatures too, and each response code so that the schema allows it.
func TestTypeTexts(t *testing.T) {
	mnemonic := regexp.MustCompile("^[A-Z][A-Z0-9-]*$")
	for n := range 1 << 16 {
		text := typeText(question{qtype: uint16(n)})
		if !mnemonic.MatchString(text) {
			t.Errorf("type %d is written %q", n, text)
		}
		if got, err := parseType(text); err == nil && got != uint16(n) || err != nil && !strings.HasPrefix(err.Error(), text) {
			t.Errorf("type %d is written %q, and read as %d, %v", n, text, got, err)
		}
	}
	for n := range 1 << 12 {
		if text := rcodeText(n); !mnemonic.MatchString(text) {
			t.Errorf("response code %d is written %q", n, text)
		}
	}
	if got := rcodeText(dns.RcodeBadVers); got != "BADVERS" {
		t.Errorf("response code 16 is written %q, want that of a reply without TSIG", got)
	}
	signature := newAnswerRecord(&dns.RRSIG{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeRRSIG}, TypeCovered: dns.TypeReserved, SignerName: "."})
	if !strings.HasPrefix(signature.Data, "TYPE65535 ") {
		t.Errorf("got a signature of %q, want of TYPE65535", signature.Data)
	}
	synctest.Test(t, func(t *testing.T) {
		got := bulk(t, "n1.host0.example type65535\nn1.host0.example type0\n", "-mock", "mock.txt")
		if r := bySeq(t, got.records)[1]; r.Type != "TYPE65535" || r.Status != statusNoData {
			t.Errorf("got %+v, want no data of TYPE65535", r)
		}
		if r := bySeq(t, got.records)[2]; !strings.Contains(r.Error, "TYPE0 is reserved") {
			t.Errorf("got %+v, want that TYPE0 is reserved", r)
		}
	})
}

func TestSignatures(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "A secure"},
		{[]string{"-signatures"}, "A RRSIG secure"},
		{[]string{"-dnssec=false"}, "A indeterminate"},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := bulk(t, "n1.host0.example", append(test.args, "-mock", "mock.txt")...)
			var text []string
			for _, r := range got.records {
				for _, a := range r.Answer {
					text = append(text, a.Type)
				}
				text = append(text, r.DNSSEC)
			}
			if strings.Join(text, " ") != test.want {
				t.Errorf("%v: got %q, want %q", test.args, text, test.want)
			}
		})
	}
}

// TestSameStatuses: the same list twice has the same statuses, though replies are lost and servers are
// silent.
func TestSameStatuses(t *testing.T) {
	var list strings.Builder
	if err := writeMockList(&list, 1500); err != nil {
		t.Fatal(err)
	}
	statuses := func(t *testing.T) (all [][2]string) {
		synctest.Test(t, func(t *testing.T) {
			got := bulk(t, list.String(), "-mock", "mock.txt")
			records := bySeq(t, got.records)
			for seq := uint64(1); seq <= 1500; seq++ {
				all = append(all, [2]string{string(records[seq].Status), string(records[seq].Reason)})
			}
		})
		return all
	}
	first, second := statuses(t), statuses(t)
	for i := range first {
		if first[i] != second[i] {
			t.Errorf("question %d: got %q, and %q the second time", i+1, first[i], second[i])
		}
	}
	for i, want := range map[int]string{0: "answer", 499: "error", 7: "nxdomain", 997: "error", 599: "error"} {
		if first[i][0] != want {
			t.Errorf("%s: got %q, want %q", mockLine(i), first[i], want)
		}
	}
}

const flakyWorld = `
-- zone good.example. at 198.51.100.1 --
*  A  203.0.113.1
-- zone flaky.example. at 198.51.100.2 --
*  A  203.0.113.2
-- zone refused.example. at 198.51.100.3 --
*  A  203.0.113.3
-- fault 198.51.100.3 --
lame refused
-- zone loop.example. at 198.51.100.4 --
a  CNAME  b
b  CNAME  a
`

// TestTriedAgain: a failure that passes is tried again, one that does not is written at once.
func TestTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flakyWorld)
		w.in.Fault("198.51.100.2", resolvertest.Drop())
		go func() {
			time.Sleep(5 * time.Second)
			w.in.Fault("198.51.100.2", resolvertest.Mend())
		}()
		all := bySeq(t, w.bulk("x.flaky.example\nx.good.example\nx.refused.example\na.loop.example\n"))
		for seq, want := range map[uint64]struct {
			status   status
			reason   reason
			attempts int
		}{
			1: {statusAnswer, "", 2},
			2: {statusAnswer, "", 1},
			3: {statusError, reasonUnreachable, 3},
			4: {statusError, reasonLoop, 1},
		} {
			r := all[seq]
			if r.Status != want.status || r.Reason != want.reason || r.Attempts != want.attempts {
				t.Errorf("%s: got %+v, want %+v", r.Input, r, want)
			}
		}
		if r := all[3]; r.Outcomes["lame REFUSED"] == 0 || !strings.Contains(r.Error, "REFUSED") {
			t.Errorf("got outcomes %v and %q, want REFUSED", r.Outcomes, r.Error)
		}
		if all[1].Outcomes != nil || all[1].Queries < 4 {
			t.Errorf("got %+v, want the queries of both attempts", all[1])
		}
	})
}

// TestWaitingIsBounded: with failures that wait for another attempt, no more than -waiting of them and
// those under way are begun.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flakyWorld)
		var list strings.Builder
		for i := range 300 {
			fmt.Fprintf(&list, "n%d.refused.example\n", i)
		}
		all := bySeq(t, w.bulk(list.String(), "-waiting", "10", "-concurrency", "20"))
		for _, r := range all {
			if r.Attempts != 3 || r.Reason != reasonUnreachable {
				t.Errorf("got %+v, want three attempts", r)
			}
		}
		if len(all) != 300 {
			t.Errorf("got %d lines, want 300", len(all))
		}
	})
}

// TestPolite: no address gets more queries a second than -server-rate, nor more at a time than
// -server-queries, and delegations are asked for once.
func TestPolite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, `
-- zone . at 192.0.2.1 --
-- zone example. at 192.0.2.2 --
-- zone one.example. at 198.51.100.1 --
*  A  203.0.113.1
-- zone two.example. at 198.51.100.2 --
*  A  203.0.113.2
-- fault * --
latency 100ms
`)
		var list strings.Builder
		for i := range 400 {
			fmt.Fprintf(&list, "n%d.one.example\nn%d.two.example\n", i, i)
		}
		for _, r := range w.bulk(list.String(), "-server-rate", "50", "-server-queries", "4") {
			if r.Status != statusAnswer {
				t.Errorf("got %+v, want an answer", r)
			}
		}
		byServer := make(map[netip.Addr][]time.Time)
		for _, q := range w.in.Log() {
			byServer[q.Server] = append(byServer[q.Server], q.Time)
		}
		for server, times := range byServer {
			slices.SortFunc(times, time.Time.Compare)
			for i, at := range times {
				within := func(d time.Duration) int {
					n, _ := slices.BinarySearchFunc(times, at.Add(d), time.Time.Compare)
					return n - i
				}
				if n := within(time.Second); n > 50+10+1 { // saved up in 200 ms
					t.Errorf("%v: got %d queries in a second, want 50", server, n)
					break
				}
				if n := within(100 * time.Millisecond); n > 4+1 {
					t.Errorf("%v: got %d queries in a round trip, want 4 under way", server, n)
					break
				}
			}
		}
		for addr, most := range map[string]int{"192.0.2.1": 3, "192.0.2.2": 6} {
			if n := len(byServer[netip.MustParseAddr(addr)]); n == 0 || n > most {
				t.Errorf("%s: got %d queries for delegations that 800 names share, want 1 to %d", addr, n, most)
			}
		}
	})
}

const opinionWorld = `
-- zone split.example. at 198.51.100.1 198.51.100.2 --
*  A  203.0.113.1
-- zone gone.example. at 198.51.100.6 198.51.100.7 --
www  A  203.0.113.1
-- zone lone.example. at 198.51.100.3 --
www  A  203.0.113.3
-- zone signed.example. at 198.51.100.4 198.51.100.5 signed --
www  A  203.0.113.4
-- fault 198.51.100.2 --
latency 50ms
-- fault 198.51.100.1 --
when type A: replace NXDOMAIN
`

// splitWorlds is how often they are asked for, each time by a resolver that knows nothing.
const splitWorlds = 12

// splitNames are names of the zone whose servers disagree. Which of the servers a name is asked of
// first is random: with those of splitWorlds each server is the first for some.
var splitNames = func() (names []string) {
	for i := range 6 {
		names = append(names, fmt.Sprintf("n%d.split.example", i))
	}
	return names
}()

// TestSecondOpinion: a name that one server of an unsigned zone denies counts as one that does not
// exist only when another denies it too.
func TestSecondOpinion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := 0
		for range splitWorlds {
			var once strings.Builder // each name is denied
			for _, name := range splitNames {
				fmt.Fprintf(&once, "when name %s. type A first 1: replace NXDOMAIN\n", name)
			}
			w := newWorld(t, strings.Replace(opinionWorld, "when type A: replace NXDOMAIN\n", once.String(), 1))
			list := "none.gone.example A,AAAA\nnone.lone.example\nnone.signed.example\nwww.lone.example\n"
			all := bySeq(t, w.bulk(list+strings.Join(splitNames, "\n"), "-second-opinion", "-attempts", "4"))
			for seq, want := range map[uint64]string{
				1: "nxdomain confirmed", 2: "nxdomain confirmed", 3: "nxdomain unavailable", 4: "nxdomain ", 5: "answer ",
			} {
				if got := string(all[seq].Status) + " " + string(all[seq].Opinion); got != want {
					t.Errorf("%s %s: got %q, want %q", all[seq].Input, all[seq].Type, got, want)
				}
			}
			for seq := uint64(6); seq < 6+uint64(len(splitNames)); seq++ {
				if all[seq].Status != statusAnswer {
					t.Errorf("got %+v, want an answer", all[seq])
				}
				if all[seq].Attempts > 1 {
					again++
				}
			}
			for _, server := range []string{"198.51.100.6", "198.51.100.7"} {
				if w.in.Count(resolvertest.Name("none.gone.example"), resolvertest.To(server)) == 0 {
					t.Errorf("%s was not asked for the name that does not exist", server)
				}
			}
		}
		if again == 0 {
			t.Error("no name was tried again that one server denied")
		}
	})
}

// TestDisagreement: where the servers go on to disagree, that is the failure.
func TestDisagreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, seen := strings.Join(splitNames, "\n"), make(map[string]int)
		var w *world
		for range splitWorlds {
			w = newWorld(t, opinionWorld)
			for _, r := range w.bulk(list, "-second-opinion") {
				seen[string(r.Status)+" "+string(r.Reason)]++
			}
		}
		if seen["error disagreement"]+seen["answer "] != splitWorlds*len(splitNames) || seen["error disagreement"] == 0 {
			t.Errorf("got %v, want disagreements, and answers where the other server was asked", seen)
		}
		for _, r := range w.bulk(list) {
			if r.Status == statusError || r.Opinion != opinionNone {
				t.Errorf("got %+v without -second-opinion, want what one server says", r)
			}
		}
	})
}

// tornFile is a disk that is full.
type tornFile struct {
	text []byte
	room int
}

func (f *tornFile) Write(b []byte) (int, error) {
	n := min(len(b), f.room-len(f.text))
	f.text = append(f.text, b[:n]...)
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestOutputFull: a disk that is full in the middle of a line keeps the lines before it.
func TestOutputFull(t *testing.T) {
	disk := &tornFile{room: 100}
	out := &output{tally: &tally{}, to: sink{Writer: disk, truncate: func(size int64) error {
		disk.text = disk.text[:size]
		return nil
	}}}
	line := strings.Repeat("x", 29)
	var err error
	for range 10 {
		err = errors.Join(err, out.add([]byte(line), ending{status: statusAnswer}))
	}
	err = errors.Join(err, out.tick(time.Now()))
	if !errors.Is(err, errOutput) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want a full disk", err)
	}
	if got := string(disk.text); got != strings.Repeat(line+"\n", 3) {
		t.Errorf("got %q, want three whole lines", got)
	}
	if n := out.tally.all(); n != 3 {
		t.Errorf("%d lines are counted, want the three that are written", n)
	}
	if err := out.add([]byte(line), ending{status: statusAnswer}); err == nil {
		t.Error("a line after the error is taken")
	}
	if err := out.close(); err != nil {
		t.Errorf("the error is told again: %v", err)
	}
}

func TestOutputDevFull(t *testing.T) {
	got := bulk(t, "n1.host0.example\n", "-mock", "mock.txt", "-o", "/dev/full")
	if got.status != exitIncomplete || !strings.Contains(got.stderr, syscall.ENOSPC.Error()) {
		t.Errorf("got status %d and %q, want %d and a full disk", got.status, got.stderr, exitIncomplete)
	}
	if !strings.HasPrefix(got.stderr, "0 questions: ") || !strings.Contains(got.stderr, "the list is not done, and -resume cannot continue it") {
		t.Errorf("got %q, want that no question is done, and that the list is not", got.stderr)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{
		"-type NONSENSE", "-type ,", "-type OPT", "-resume", "-concurrency 0", "-concurrency 5", "-server-rate -1",
		"-server-rate 0.1", "-server-rate NaN", "-attempts 0", "-waiting 0", "-cache 0", "-port 0", "-port 70000", "-4 -6", "-mock mock.txt -port 5353", "-mock mock.txt -local-root axfr",
		"-allow 10.0.0.0", "-progress pie", "-compare one", "-second-level-key x", "-second-level http://x/", "-hints no-such-file",
		"-mock no-such-file", "-server-queries 0", "-no-such-flag", "- other",
	} {
		if got := bulk(t, "", strings.Fields(args)...); got.status != exitUsage || got.stderr == "" {
			t.Errorf("%s: got status %d and %q, want %d and a reason", args, got.status, got.stderr, exitUsage)
		}
	}
	if got := bulk(t, "", "-h"); got.status != exitDone || !strings.Contains(got.stderr, "-server-rate") {
		t.Errorf("-h: got status %d and %q", got.status, got.stderr)
	}
	if got := bulk(t, "", "-schema"); got.stdout != schema {
		t.Errorf("-schema: got %q", got.stdout)
	}
}

// TestFlagsAfterFiles: a flag after a file is no file, but where it is named as one.
func TestFlagsAfterFiles(t *testing.T) {
	for args, want := range map[string]string{
		"-mock mock.txt s.txt -type MX": `"-type" follows the file "s.txt": flags go before the files`,
		"s.txt -h":                      `"-h" follows the file "s.txt": flags go before the files`,
		"-compare a b -o c":             `"-o" follows the file "b": flags go before the files`,
		"-mock-list 3 x -type MX":       `flags go before the files`,
		"no-such-file ./-type":          "open no-such-file",
		"-- no-such-file -type":         "open no-such-file",
		"-type MX -- no-such-file -o":   "open no-such-file",
		"no-such-file -":                "-, for standard input, goes with no other file",
	} {
		if got := bulk(t, "", strings.Fields(args)...); got.status != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got status %d and %q, want %d and %q", args, got.status, got.stderr, exitUsage, want)
		}
	}
}

// TestCompare: the status says whether two outputs have the same statuses.
func TestCompare(t *testing.T) {
	const one = `{"seq":1,"input":"a","name":"a.","type":"A","status":"nodata"}` + "\n"
	for name, test := range map[string]struct {
		other string
		want  int
	}{
		"the same":            {one, exitDone},
		"a torn line after":   {one + `{"seq":2`, exitDone},
		"another status":      {strings.ReplaceAll(one, "nodata", "answer"), exitFailures},
		"a question more":     {one + strings.ReplaceAll(one, `"seq":1`, `"seq":2`), exitFailures},
		"no output":           {"a list\n", exitUsage},
		"damage, and another": {"{}\n" + one, exitUsage},
	} {
		if got := bulk(t, "", "-compare", writeFile(t, "one", one), writeFile(t, "other", test.other)); got.status != test.want {
			t.Errorf("%s: got status %d, %q, want %d", name, got.status, got.stdout+got.stderr, test.want)
		}
	}
	if got := bulk(t, "", "-compare", writeFile(t, "one", one), "no-such-file"); got.status != exitUsage {
		t.Errorf("a file that is missing: got status %d, want %d", got.status, exitUsage)
	}
}

// TestProgress: lines where there is no terminal, and a bar where that is asked for; names from the
// list are not obeyed by a terminal.
func TestProgress(t *testing.T) {
	t.Parallel()
	list := writeFile(t, "list", "n1.host0.example\nn2.host0.example\nn3.dead.example\n\x1b[31m\n")
	lines := bulk(t, "", "-mock", "mock.txt", "-attempts", "1", "-progress-every", "100ms", list)
	if !strings.Contains(lines.stderr, "of 4 done") || !strings.Contains(lines.stderr, "failures: input 1") {
		t.Errorf("got lines %q", lines.stderr)
	}
	bar := bulk(t, "", "-mock", "mock.txt", "-attempts", "1", "-progress", "bar", list)
	if !strings.Contains(bar.stderr, "4 of 4 done") || strings.Contains(bar.stderr, "[31m") {
		t.Errorf("got a bar %q", bar.stderr)
	}
	none := bulk(t, "", "-mock", "mock.txt", "-attempts", "1", "-progress", "none", list)
	if strings.Contains(none.stderr, "under way") || !strings.Contains(none.stderr, "4 questions") {
		t.Errorf("got %q, want the summary only", none.stderr)
	}
}

// TestTimeLeft: the time left is no less than until the last question is tried again; when nothing else is
// under way, that is what is said.
func TestTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := &tally{}
		p := newProgress(&config{progress: progressNone}, io.Discard, 1010, done)
		for range 1000 {
			done.count(ending{status: statusAnswer})
		}
		time.Sleep(10 * time.Second)
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		waiting := waitingTasks{{again: in(9500 * time.Millisecond)}, {again: in(24 * time.Second)}, {again: in(12 * time.Second)}}
		next, last := waiting.due()
		for _, test := range []struct {
			now  underWay
			want string
		}{
			{underWay{flying: 10}, "100 a second, 1s left, "},
			{underWay{flying: 7, later: 3, next: next, last: last}, "100 a second, 24s left, "},
			{underWay{later: 3, next: next, last: last}, "100 a second, waiting 10s to try again, "},
			{underWay{later: 3, next: in(-time.Second), last: last}, "100 a second, waiting 0s to try again, "},
		} {
			p.update(test.now)
			if got := p.rateText(); !strings.HasPrefix(got, test.want) {
				t.Errorf("%+v: got %q, want %q", test.now, got, test.want)
			}
		}
		if next, last := (waitingTasks{}).due(); !next.IsZero() || !last.IsZero() {
			t.Errorf("got %v and %v of none, want zero times", next, last)
		}
	})
}

// TestTimeLeftShown: a run that waits says so.
func TestTimeLeftShown(t *testing.T) {
	list := writeFile(t, "list", "n1.host0.example\nn3.dead.example\n")
	synctest.Test(t, func(t *testing.T) {
		got := bulk(t, "", "-mock", "mock.txt", "-progress", "lines", "-progress-every", "1s", list)
		if strings.Contains(got.stderr, " 0s ") || !strings.Contains(got.stderr, "waiting 5s to try again") {
			t.Errorf("got %q, want no time left of 0 and how long it waits", got.stderr)
		}
	})
}
