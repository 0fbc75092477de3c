package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestQueryAppendTo(t *testing.T) {
	base := Query{ID: 0xBEEF, Name: "\x03www\x07example\x00", Type: dns.TypeAAAA, Class: dns.ClassINET}
	with := func(change func(*Query)) Query {
		q := base
		change(&q)
		return q
	}
	tests := map[string]Query{
		"plain":   base,
		"root":    with(func(q *Query) { q.Name = "\x00" }),
		"RD":      with(func(q *Query) { q.RD = true }),
		"CD":      with(func(q *Query) { q.CD = true }),
		"CHAOS":   with(func(q *Query) { q.Class = dns.ClassCHAOS }),
		"EDNS":    with(func(q *Query) { q.EDNS, q.UDPSize = true, 1232 }),
		"DO":      with(func(q *Query) { q.EDNS, q.UDPSize, q.DO = true, 1232, true }),
		"cookie":  with(func(q *Query) { q.EDNS, q.UDPSize, q.Cookie = true, 512, []byte("\x01234567\xff") }),
		"NSID":    with(func(q *Query) { q.EDNS, q.UDPSize, q.NSID = true, 1232, true }),
		"no EDNS": with(func(q *Query) { q.UDPSize, q.DO, q.Cookie = 1232, true, []byte("12345678") }),
	}
	for name, q := range tests {
		t.Run(name, func(t *testing.T) {
			prefix := []byte("\x00\x05")
			out := q.AppendTo(prefix)
			if !bytes.HasPrefix(out, prefix) {
				t.Fatalf("%q does not begin with what was there, %q", out, prefix)
			}
			var msg dns.Msg
			if err := msg.Unpack(out[len(prefix):]); err != nil {
				t.Fatal(err)
			}
			checkQuery(t, &msg, q)
			m, err := Parse(out[len(prefix):])
			if err != nil {
				t.Fatal(err)
			}
			if want := (Question{q.Name, q.Type, q.Class}); m.ID != q.ID || m.Question != want {
				t.Errorf("Parse: got ID %x, %v; want %x, %v", m.ID, m.Question, q.ID, want)
			}
		})
	}
}

// checkQuery compares what miekg/dns reads with what was to be asked.
func checkQuery(t *testing.T, msg *dns.Msg, q Query) {
	t.Helper()
	header := dns.MsgHdr{Id: q.ID, RecursionDesired: q.RD, CheckingDisabled: q.CD}
	if msg.MsgHdr != header {
		t.Errorf("header: got %+v, want %+v", msg.MsgHdr, header)
	}
	questions := []dns.Question{{Name: q.Name.String(), Qtype: q.Type, Qclass: q.Class}}
	if !reflect.DeepEqual(msg.Question, questions) {
		t.Errorf("question: got %v, want %v", msg.Question, questions)
	}
	if len(msg.Answer)+len(msg.Ns) != 0 {
		t.Errorf("records in a query: %v %v", msg.Answer, msg.Ns)
	}
	o := msg.IsEdns0()
	if (o != nil) != q.EDNS || len(msg.Extra) > 1 {
		t.Fatalf("EDNS: got %v, want it: %t", msg.Extra, q.EDNS)
	}
	if o == nil {
		return
	}
	if o.UDPSize() != q.UDPSize || o.Do() != q.DO || o.Version() != 0 || o.ExtendedRcode() != 0 {
		t.Errorf("EDNS: got %v, want size %d, DO %t", o, q.UDPSize, q.DO)
	}
	var cookie strings.Builder
	nsid := false
	for _, option := range o.Option {
		cookie.WriteString(option.String())
		nsid = nsid || option.Option() == dns.EDNS0NSID
	}
	if nsid != q.NSID {
		t.Errorf("options: got NSID %t, want %t", nsid, q.NSID)
	}
	if want := hex.EncodeToString(q.Cookie); cookie.String() != want {
		t.Errorf("options: got %s, want %s", cookie.String(), want)
	}
}

func TestQuestionName(t *testing.T) {
	q := Query{Name: "\x03www\x07example\x00", Type: dns.TypeA, Class: dns.ClassINET, EDNS: true}
	b := q.AppendTo(nil)
	name := QuestionName(b)
	if got, want := string(name), string(q.Name); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	name[1] = 'W'
	if b[HeaderLen+1] != 'W' {
		t.Error("the name is a copy, not a part of the query")
	}
	q.Name = "\x00"
	if got := QuestionName(q.AppendTo(nil)); string(got) != "\x00" {
		t.Errorf("root: got %q, want one zero byte", got)
	}
	for name, in := range map[string][]byte{
		"nothing":       nil,
		"header only":   message(1, 0, 0, 0),
		"no root label": message(1, 0, 0, 0, "\x03www"),
		"label cut off": message(1, 0, 0, 0, "\x03w"),
		"pointer":       message(1, 0, 0, 0, "\x03www", pointer(HeaderLen), "\x00\x01\x00\x01"),
	} {
		if got := QuestionName(in); got != nil {
			t.Errorf("%s: got %q, want nothing", name, got)
		}
	}
}

func BenchmarkQueryAppendTo(b *testing.B) {
	q := Query{Name: "\x03www\x07example\x00", Type: dns.TypeA, Class: dns.ClassINET, EDNS: true, UDPSize: 1232, DO: true}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = q.AppendTo(buf[:0])
	}
}
