// Package imports holds the test that imports point down: a table lists what each package of
// the module may import of the module, from the top to the bottom.
//
// In comes the source of the module, as it stands in the tree, whatever the build constraints;
// out goes a failure that names the import, and says what the importing package is for. A new
// package needs a row, and a new import a word in a row. The package is never built into
// anything.
package imports
