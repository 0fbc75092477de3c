package drawing

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/iterdns/iterdns/resolver"
)

// Node is a line of the tree, with the lines below it.
type Node struct {
	At          time.Duration // since the first event
	Left, Right string        // what, and what came of it
	Meaning     string        // of a word on the right that needs one; "": none does
	Folded      bool          // those below repeat what is above, and may be hidden
	above       *Node
	Below       []*Node
	begins      bool // a walk begins here, or begins again
	validated   bool // it says what validation found
}

// MaxLeft bounds the left column, so that one deep line does not push the right one
// off the screen. In characters.
const MaxLeft = 56

// MaxLines is how many lines a tree has at most; what happens afterwards is left out.
const MaxLines = 2000

// Lines returns the lines at the top of the tree, each with those below it, and what the question
// took in all. It is called once, after the question has ended. The text may hold what servers
// sent, and is not printable.
func (t *Tree) Lines() (top []*Node, summary string) {
	for _, n := range t.root.Below {
		n.squash()
	}
	if left := t.lines - MaxLines; left > 0 {
		t.summary += fmt.Sprintf("; %s left out", Count(left, "line"))
	}
	return t.root.Below, t.summary
}

// Print draws the tree: when, what, and what came of it.
func (t *Tree) Print(w io.Writer) {
	w = resolver.PrintableWriter(w)
	lines, summary := t.Lines()
	width := 0
	for _, top := range lines {
		width = max(width, top.Width(0))
	}
	for _, top := range lines {
		top.print(w, min(width, MaxLeft), "", "")
	}
	fmt.Fprintf(w, "\n%s\n", summary)
}

// squash makes one line of each search below n that took one query to a zone known
// already, as those for keys mostly do.
func (n *Node) squash() {
	for _, child := range n.Below {
		if only := child.only().only(); only != nil && only.Left == child.Left && child.Right == "" {
			child.Right, child.Below = only.Right, only.Below
		}
		child.squash()
	}
}

// only returns the one node below n, nil if there is none or more.
func (n *Node) only() *Node {
	if n == nil || len(n.Below) != 1 {
		return nil
	}
	return n.Below[0]
}

// Width is how much room the left column needs, where there is a right one.
func (n *Node) Width(indent int) int {
	width := 0
	if n.Right != "" {
		width = indent + utf8.RuneCountInString(n.Left)
	}
	for _, child := range n.Below {
		width = max(width, child.Width(indent+len("   ")))
	}
	return width
}

// print draws a node after the prefix of its own line; those below it begin with
// prefix.
func (n *Node) print(w io.Writer, width int, own, prefix string) {
	left := own + n.Left
	if n.Right != "" {
		left += strings.Repeat(" ", max(0, width-utf8.RuneCountInString(left))) + "  " + n.Right
	}
	fmt.Fprintf(w, "%9s  %s\n", Millis(n.At), left)
	for i, child := range n.Below {
		if i == len(n.Below)-1 {
			child.print(w, width, prefix+"└─ ", prefix+"   ")
		} else {
			child.print(w, width, prefix+"├─ ", prefix+"│  ")
		}
	}
}
