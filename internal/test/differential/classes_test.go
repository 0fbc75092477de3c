package main

import (
	"strings"
	"testing"
)

// What is shipped can be read, and no class takes in anything without an RFC's leave.
func TestClassesFile(t *testing.T) {
	classes, err := parseClasses(classesText)
	if err != nil {
		t.Fatal(err)
	}
	if len(classes) == 0 {
		t.Error("no classes")
	}
}

func TestClassesRefused(t *testing.T) {
	const good = "class a\npeers BIND\ntags cd\nad no > yes\nbecause RFC 4035 §3.2.2: it is so.\n"
	many := strings.Builder{}
	for i := range maxClasses + 1 {
		many.WriteString(strings.Replace(good, "class a", "class "+string(rune('a'+i)), 1))
	}
	for text, want := range map[string]string{
		good: "",
		strings.Replace(good, "RFC 4035", "BIND's manual", 1): "no section of an RFC",
		strings.Replace(good, "tags cd\n", "", 1):             "without tags",
		strings.Replace(good, "ad no > yes\n", "", 1):         "without a difference",
		strings.Replace(good, "BIND", "dnsmasq", 1):           "no peer is called",
		strings.Replace(good, "ad no", "colour no", 1):        "unknown word",
		"class a\nbecause RFC 4035 §3.2.2: it is so.\n":       "no peers",
		"class a\ntags cd\n":                                  "before peers",
		"peers BIND\n":                                        "before the first class",
		good + good:                                           "twice",
		many.String():                                         "at most",
	} {
		_, err := parseClasses(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

// A difference is explained only if the peer, the tags and every aspect fit.
func TestExplain(t *testing.T) {
	classes, err := parseClasses(`
class first
peers BIND
tags cd !spoilt
ad no > yes
because RFC 1 §1
class second
peers BIND, Unbound
tags negative
proof soa > none
rcode NOERROR > NXDOMAIN
because RFC 1 §1
`)
	if err != nil {
		t.Fatal(err)
	}
	cd := question{cd: true}
	denial := difference{"proof": "soa > none", "rcode": "NOERROR > NXDOMAIN"}
	both := difference{"ad": "no > yes", "proof": "soa > none", "rcode": "NOERROR > NXDOMAIN"}
	for _, test := range []struct {
		name string
		seen seen
		want string
	}{
		{"fits", seen{question: cd, peer: "BIND", difference: difference{"ad": "no > yes"}}, "first"},
		{"another peer", seen{question: cd, peer: "Unbound", difference: difference{"ad": "no > yes"}}, ""},
		{"without the tag", seen{peer: "BIND", difference: difference{"ad": "no > yes"}}, ""},
		{"with the tag that must not be", seen{question: question{cd: true, tags: []string{"spoilt"}}, peer: "BIND",
			difference: difference{"ad": "no > yes"}}, ""},
		{"the other way round", seen{question: cd, peer: "BIND", difference: difference{"ad": "yes > no"}}, ""},
		{"one aspect more", seen{question: cd, peer: "BIND", difference: difference{"ad": "no > yes", "answer": "some > none"}}, ""},
		{"one aspect less", seen{peer: "BIND", negative: true, difference: difference{"proof": "soa > none"}}, ""},
		{"two aspects", seen{peer: "Unbound", negative: true, difference: denial}, "second"},
		{"two classes", seen{question: cd, peer: "BIND", negative: true, difference: both}, "first second"},
	} {
		var names []string
		for _, c := range explain(classes, test.seen) {
			names = append(names, c.name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s: got classes %q, want %q", test.name, got, test.want)
		}
	}
}
