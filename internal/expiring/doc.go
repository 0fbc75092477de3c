// Package expiring decides whether a value in memory is still good.
//
// In come a value, how long it is kept, and the time; out comes whether it holds. It does not
// when either the wall or the monotonic clock says that its time is over, so that neither
// suspending the host nor setting its clock lengthens a life.
//
// It never reads a clock or drops a value.
package expiring
