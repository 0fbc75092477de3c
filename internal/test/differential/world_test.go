package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Equal seeds give equal worlds, other seeds others.
func TestWorldRepeats(t *testing.T) {
	a, again, other := newWorld(1, 1000), newWorld(1, 1000), newWorld(2, 1000)
	if a.text != again.text {
		t.Error("the same seed makes another Internet")
	}
	for i := range a.questions {
		if got, want := again.questions[i].String(), a.questions[i].String(); got != want {
			t.Fatalf("question %d: got %s, want %s", i, got, want)
		}
	}
	if a.text == other.text {
		t.Error("another seed makes the same Internet")
	}
}

// A world is one that can be served, has all kinds of zones, and as many questions as
// were wanted, about all of them.
func TestWorldIsWhole(t *testing.T) {
	const seed, wanted = 3, 1000
	w := newWorld(seed, wanted)
	in, err := resolvertest.NewInternet(w.text)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got := rootAnchor(in); len(got) != 1 {
		t.Errorf("got %d trust anchors of the root, want 1", len(got))
	}
	if len(w.questions) != wanted {
		t.Errorf("got %d questions, want %d", len(w.questions), wanted)
	}
	for _, kind := range zoneKinds() {
		if !slices.ContainsFunc(w.questions, func(q question) bool { return q.tagged(kind.name) }) {
			t.Errorf("no question about a zone that is %s", kind.name)
		}
	}
}

func TestTags(t *testing.T) {
	b := &builder{items: make(map[string]*item)}
	far := &zone{origin: "far.example.", tags: []string{"far"}}
	near := &zone{origin: "near.example.", tags: []string{"near"}}
	b.zones = []*zone{far, near}
	b.item(far, "end.far.example.", 1, "end")
	b.item(near, "a.near.example.", 1, "alias").target = "end.far.example."
	b.item(near, "b.near.example.", 1).target = "nobody.asks.far.example."
	b.item(near, "loop.near.example.", 1, "loop").target = "loop.near.example."
	for name, want := range map[string]string{
		"end.far.example.":   "end far",
		"a.near.example.":    "alias end far near",
		"b.near.example.":    "far near",
		"loop.near.example.": "loop near",
	} {
		if got := strings.Join(b.tagsOf(b.items[name]), " "); got != want {
			t.Errorf("%s: got tags %q, want %q", name, got, want)
		}
	}
}
