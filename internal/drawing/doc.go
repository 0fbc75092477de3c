// Package drawing makes what has happened to a question fit to be looked at: its walk as a tree,
// and its chain of trust as an outline or, with the walk, as a picture (SVG, Graphviz).
//
// In come the events of a [resolver.Trace] and the evidence of an answer ([dnssec.Link]); out
// come lines of text and pictures, in which all text from the network is escaped and printable.
// It judges the evidence once more, with the trust anchors that it is given, and never asks
// anything. How many records, keys, steps and zones are shown is bounded.
//
// LDNS calls the outline drill -S; DNSViz draws the same picture.
package drawing
