package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/iterdns/iterdns/resolver"
)

// node is a line of the tree, with the lines below it.
type node struct {
	at          time.Duration
	left, right string
	above       *node
	below       []*node
}

// maxLeft bounds the left column, so that one deep line does not push the right one
// off the screen. In characters.
const maxLeft = 56

// print draws the tree: when, what, and what came of it.
func (t *tree) print(w io.Writer) {
	w = resolver.PrintableWriter(w)
	width := 0
	for _, top := range t.root.below {
		top.squash()
		width = max(width, top.width(0))
	}
	for _, top := range t.root.below {
		top.print(w, min(width, maxLeft), "", "")
	}
	fmt.Fprintf(w, "\n%s\n", t.summary)
}

// squash makes one line of each search below n that took one query to a zone known
// already, as those for keys mostly do.
func (n *node) squash() {
	for _, child := range n.below {
		if only := child.only().only(); only != nil && only.left == child.left && child.right == "" {
			child.right, child.below = only.right, only.below
		}
		child.squash()
	}
}

// only returns the one node below n, nil if there is none or more.
func (n *node) only() *node {
	if n == nil || len(n.below) != 1 {
		return nil
	}
	return n.below[0]
}

// width is how much room the left column needs, where there is a right one.
func (n *node) width(indent int) int {
	width := 0
	if n.right != "" {
		width = indent + utf8.RuneCountInString(n.left)
	}
	for _, child := range n.below {
		width = max(width, child.width(indent+len("   ")))
	}
	return width
}

// print draws a node after the prefix of its own line; those below it begin with
// prefix.
func (n *node) print(w io.Writer, width int, own, prefix string) {
	left := own + n.left
	if n.right != "" {
		left += strings.Repeat(" ", max(0, width-utf8.RuneCountInString(left))) + "  " + n.right
	}
	fmt.Fprintf(w, "%9s  %s\n", millis(n.at), left)
	for i, child := range n.below {
		if i == len(n.below)-1 {
			child.print(w, width, prefix+"└─ ", prefix+"   ")
		} else {
			child.print(w, width, prefix+"├─ ", prefix+"│  ")
		}
	}
}
