package main

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/iterdns/iterdns/internal/test/realresolver"
)

// class is a kind of difference that has been understood.
type class struct {
	name    string
	cases   []classCase
	because string // the sentence of an RFC that our answer rests on
}

// classCase is one form of it. All that it says must hold.
type classCase struct {
	peers []string // whose answer differs
	tags  []string // that the question has, or with "!" has not
	// what lists aspects in which the answers must differ, with the differences that are
	// allowed in each. Other aspects are for other forms.
	what map[aspect][]string
}

// maxClasses is how many kinds of differences there may be before nobody reads them.
const maxClasses = 15

//go:embed classes.txt
var classesText string

// seen is a difference in its surroundings.
type seen struct {
	question   question
	peer       string
	difference difference
	negative   bool // we say that there is no such name, or no such type
	shared     bool // another resolver answers as we do
}

// tagged reports whether something holds for the question, or for our answer to it.
func (s seen) tagged(tag string) bool {
	switch tag {
	case "negative":
		return s.negative
	case "shared":
		return s.shared
	}
	return s.question.tagged(tag)
}

// matches reports whether the form accounts for a part of the difference.
func (c classCase) matches(s seen) bool {
	if !slices.Contains(c.peers, s.peer) {
		return false
	}
	for _, tag := range c.tags {
		if without, not := strings.CutPrefix(tag, "!"); s.tagged(without) == not {
			return false
		}
	}
	for a, allowed := range c.what {
		if !slices.Contains(allowed, s.difference[a]) {
			return false
		}
	}
	return true
}

// explain returns the classes that account for all aspects of a difference together. It
// is nil if some aspect is in none.
func explain(classes []*class, s seen) []*class {
	left := make(map[aspect]bool)
	for a := range s.difference {
		left[a] = true
	}
	var found []*class
	for _, c := range classes {
		for _, form := range c.cases {
			if !form.adds(left) || !form.matches(s) {
				continue
			}
			if !slices.Contains(found, c) {
				found = append(found, c)
			}
			for a := range form.what {
				delete(left, a)
			}
		}
	}
	if len(left) > 0 {
		return nil
	}
	return found
}

// adds reports whether the form is about aspects that nothing accounts for yet.
func (c classCase) adds(left map[aspect]bool) bool {
	for a := range c.what {
		if left[a] {
			return true
		}
	}
	return false
}

// parseClasses reads classes.txt, whose form its first lines describe.
func parseClasses(text string) ([]*class, error) {
	var classes []*class
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if word == "class" {
			classes = append(classes, &class{name: rest})
			continue
		}
		if len(classes) == 0 {
			return nil, fmt.Errorf("line %d: %q before the first class", number+1, word)
		}
		if err := classes[len(classes)-1].line(word, rest); err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
	}
	return classes, check(classes)
}

// line takes a line of a class.
func (c *class) line(word, rest string) error {
	if word == "because" {
		c.because = strings.TrimSpace(c.because + " " + rest)
		return nil
	}
	if word == "peers" {
		c.cases = append(c.cases, classCase{what: make(map[aspect][]string)})
	}
	if len(c.cases) == 0 {
		return fmt.Errorf("%q before peers", word)
	}
	form := &c.cases[len(c.cases)-1]
	switch word {
	case "peers":
		form.peers = list(rest, ",")
	case "tags":
		form.tags = strings.Fields(rest)
	case string(aspectRcode), string(aspectAD), string(aspectAnswer), string(aspectSignatures), string(aspectProof):
		form.what[aspect(word)] = list(rest, "|")
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

func list(text, separator string) []string {
	var items []string
	for item := range strings.SplitSeq(text, separator) {
		items = append(items, strings.TrimSpace(item))
	}
	return items
}

// check refuses classes that could take in anything, or that nothing explains.
func check(classes []*class) error {
	if len(classes) > maxClasses {
		return fmt.Errorf("%d classes, at most %d", len(classes), maxClasses)
	}
	for i, c := range classes {
		if err := c.check(); err != nil {
			return fmt.Errorf("class %q: %w", c.name, err)
		}
		if slices.ContainsFunc(classes[:i], func(other *class) bool { return other.name == c.name }) {
			return fmt.Errorf("class %q: twice", c.name)
		}
	}
	return nil
}

func (c *class) check() error {
	if !strings.Contains(c.because, "RFC ") || !strings.Contains(c.because, "§") {
		return errors.New("no section of an RFC behind because")
	}
	if len(c.cases) == 0 {
		return errors.New("no peers")
	}
	for _, form := range c.cases {
		if len(form.tags) == 0 || len(form.what) == 0 {
			return errors.New("a form without tags, or without a difference")
		}
		for _, name := range form.peers {
			if !slices.ContainsFunc(realresolver.Products(), func(p realresolver.Product) bool { return p.String() == name }) {
				return fmt.Errorf("no peer is called %q", name)
			}
		}
	}
	return nil
}
