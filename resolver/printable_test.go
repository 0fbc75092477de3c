package resolver_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// hostile is text that a server may want to send to a terminal.
const hostile = "\x1b]0;pwned\x07\x9b2J\u009b2J\u202e\x7f\r\n;; www.bank.example. 60 IN A 6.6.6.6"

// hostileText is how it is shown.
const hostileText = `\027]0;pwned\007\1552J\194\1552J\226\128\174\127\013\010;; www.bank.example. 60 IN A 6.6.6.6`

func TestPrintable(t *testing.T) {
	for given, want := range map[string]string{
		"":                    "",
		"plain text, ünïcode": "plain text, ünïcode",
		"├── tree":            "├── tree",
		"a\tb\n":              `a\009b\010`,
		"\ufffd \xff":         "\ufffd \\255",
		hostile:               hostileText,
	} {
		if got := resolver.Printable(given); got != want {
			t.Errorf("%q: got %s, want %s", given, got, want)
		}
	}
	var b strings.Builder
	w := resolver.PrintableWriter(&b)
	if n, err := w.Write([]byte("a\tb\x1b\n")); n != 5 || err != nil || b.String() != "a\tb\\027\n" {
		t.Errorf("written: %d %v %q", n, err, b.String())
	}
}

// Whatever the type is, the record is one line without control characters.
func TestPrintableRR(t *testing.T) {
	for code, make := range dns.TypeToRR {
		rr := make()
		*rr.Header() = dns.RR_Header{Name: "evil.example.", Rrtype: code, Class: dns.ClassINET}
		if null, ok := rr.(*dns.NULL); ok {
			null.Data = hostile
		}
		text := resolver.PrintableRR(rr)
		if strings.ContainsFunc(strings.ReplaceAll(text, "\t", ""), unicode.IsControl) {
			t.Errorf("%s: got %q", dns.Type(code), text)
		}
		if code == dns.TypeNULL && !strings.HasSuffix(text, hostileText) {
			t.Errorf("got %s, want %s at its end", text, hostileText)
		}
	}
}

// The texts of errors have no control characters either, in whatever part of them.
func TestErrorsArePrintable(t *testing.T) {
	for what, text := range map[string]string{
		"extended error": resolver.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: hostile}.String(),
		"name":           (&resolver.Error{Question: dns.Question{Name: hostile}, Err: resolver.ErrName}).Error(),
		"cause":          (&resolver.Error{Err: errors.New("a\x1b[2Jb")}).Error(),
		"route":          (&resolver.RouteError{Zone: ".", Err: errors.New("a\x1b[2Jb")}).Error(),
	} {
		if strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%s: got %q", what, text)
		}
	}
}

// Nor has a log, whose text handlers that write JSON do not escape.
func TestLogTraceIsPrintable(t *testing.T) {
	var b strings.Builder
	trace := resolver.LogTrace(slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	failed := fmt.Errorf("said %s: %w", hostile, resolver.ErrName)
	trace.Response(resolver.ResponseInfo{Err: failed})
	trace.ServerLookup(resolver.ServerLookupInfo{Err: failed})
	trace.Validated(resolver.ValidatedInfo{Extended: resolver.ExtendedError{Text: hostile}})
	trace.Done(resolver.DoneInfo{Step: resolver.Step{Question: dns.Question{Name: hostile, Qtype: dns.TypeA}}, Err: failed})
	log := b.String()
	if n := strings.Count(log, "pwned"); n != 5 {
		t.Errorf("got the text %d times, want it 5 times", n)
	}
	if strings.ContainsFunc(log, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || strings.Contains(log, `\u00`) {
		t.Errorf("got %q", log)
	}
}
