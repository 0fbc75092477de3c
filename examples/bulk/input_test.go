package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// compressed is text as gzip has it, in two members, as when files are joined.
func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	for _, part := range []string{text[:len(text)/2], text[len(text)/2:]} {
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, part); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestReadList(t *testing.T) {
	long := strings.Repeat("a", 200_000)
	for name, test := range map[string]struct{ text, want string }{
		"lines":                 {"a\nb\nc\n", "a|b|c"},
		"no end of the last":    {"a\nb", "a|b"},
		"CRLF":                  {"a\r\nb\r\n", "a|b"},
		"BOM":                   {"\xef\xbb\xbfa\nb\n", "a|b"},
		"empty":                 {"", ""},
		"empty lines":           {"\n\na\n\n", "||a|"},
		"gzip":                  {compressed(t, "a\nb\n"), "a|b"},
		"gzip with BOM":         {compressed(t, "\xef\xbb\xbfa\nb\n"), "a|b"},
		"longest":               {long[:maxLine] + "\r\nb\n", long[:maxLine] + "|b"},
		"too long":              {long[:maxLine+1] + "\nb\n", "long|b"},
		"much too long":         {long + "\nb\n", "long|b"},
		"much too long, at end": {"b\n" + long, "b|long"},
	} {
		var got []string
		_, err := readList(t.Context(), strings.NewReader(test.text), func(line []byte, long bool) error {
			if long {
				line = []byte("long")
			}
			got = append(got, string(line))
			return nil
		})
		if err != nil || strings.Join(got, "|") != test.want {
			t.Errorf("%s: got %.60q, %v, want %.60q", name, strings.Join(got, "|"), err, test.want)
		}
	}
}

// TestListUnread: a list that ends in the middle of its compressed data is an error, after what can be
// read, and does not keep the next one from being read.
func TestListUnread(t *testing.T) {
	var lines strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, "n%d.example\n", i*7919)
	}
	whole := compressed(t, lines.String())
	broken := writeFile(t, "broken.gz", whole[:len(whole)*3/4])
	next := writeFile(t, "next", "last.example\n")
	in, err := openLists(&config{files: []string{broken, next}, types: []uint16{1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	for range 2 { // it is read again from the start
		var names []string
		err = in.read(t.Context(), func(q question) error {
			names = append(names, q.name)
			return nil
		})
		if !errors.Is(err, errUnread) || len(names) < 2000 || names[len(names)-1] != "last.example." {
			t.Errorf("got %d names and %v, want what there is of the first list, the second list, and an error", len(names), err)
		}
	}
}

func TestListMissing(t *testing.T) {
	got := bulk(t, "", "-mock", "mock.txt", "no-such-file")
	if got.status != exitUsage || !strings.Contains(got.stderr, "no-such-file") {
		t.Errorf("got status %d and %q, want %d and the name of the file", got.status, got.stderr, exitUsage)
	}
}

func TestReadStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	stopped, err := readList(ctx, strings.NewReader("a\nb\nc\n"), func([]byte, bool) error {
		seen++
		cancel()
		return nil
	})
	if !stopped || !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("got %t, %v after %d lines, want the end of the context after 1", stopped, err, seen)
	}
}

func TestTopLevelOf(t *testing.T) {
	for name, want := range map[string]string{"www.example.com.": "com.", "com.": "com.", ".": ".", `a\.b.`: `a\.b.`, `x.a\.b.`: `a\.b.`, `x\\.com.`: "com."} {
		if got := topLevelOf(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestDuplicates: a question that is in the lists before is marked, an error or like any other, and the
// same after a run that is gone on with. Lines that are no question, and other types, are no duplicates.
func TestDuplicates(t *testing.T) {
	list := writeFile(t, "list", "n1.host0.example\nn1.HOST0.example.\nn1.host0.example A,MX\nfoo bar.example\nfoo bar.example\nn2.host0.example\n")
	out := filepath.Join(t.TempDir(), "out.jsonl")
	for _, tt := range []struct {
		flags   []string
		want    string // the numbers of duplicates
		error   bool
		summary string
	}{
		{nil, "2 3", false, "2 of them are in the lists before"},
		{[]string{"-duplicates", "mark"}, "2 3", false, "2 of them are in the lists before"},
		{[]string{"-duplicates", "error"}, "2 3", true, "duplicate 2"},
		{[]string{"-duplicates", "ignore"}, "", false, "7 questions: 5 answers"},
	} {
		os.Remove(out) // of the run before
		args := append(tt.flags, "-mock", "mock.txt", "-o", out, "-resume", list)
		var got, again outcome
		synctest.Test(t, func(t *testing.T) { got = bulk(t, "", args...) })
		whole := readFile(t, out)
		lines := strings.SplitAfter(whole, "\n")
		slices.Sort(lines) // by number: the empty one after the last is first
		for cut := range lines {
			if err := os.WriteFile(out, []byte(strings.Join(lines[:cut], "")), 0o600); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { again = bulk(t, "", args...) })
			var marked []string
			for seq, r := range bySeq(t, parseRecords(t, readFile(t, out))) {
				if r.Duplicate {
					marked = append(marked, fmt.Sprint(seq))
				}
				if refused := r.Reason == reasonDuplicate; refused != (r.Duplicate && tt.error) || !refused && r.Reason != reasonInput && r.Status != statusAnswer {
					t.Errorf("%v, after %d lines: got %+v", tt.flags, cut, r)
				}
			}
			if slices.Sort(marked); strings.Join(marked, " ") != tt.want {
				t.Errorf("%v, after %d lines: marked are %v, want %s", tt.flags, cut, marked, tt.want)
			}
		}
		if !strings.Contains(got.stderr, tt.summary) || !strings.Contains(again.stderr, tt.summary) {
			t.Errorf("%v: got the summaries %q and %q, want %q in both", tt.flags, got.stderr, again.stderr, tt.summary)
		}
	}
}
