// Package recipes holds answers to "how do I": one file a task, each small enough to be copied
// into a program, and each with a test against a mock Internet. MIGRATING.md says which task is
// in which file.
//
// It is no library: names here may change at any time.
package recipes
