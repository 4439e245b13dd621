package main

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// now is the invocation's time, which the host pins; tests set their own.
var now = time.Now

// millis is the invocation's time in Unix milliseconds, as entries keep it.
func millis() int64 { return now().UnixMilli() }

// createdMillis is when a command was accepted, in Unix milliseconds.
func createdMillis(c contract.CommandInfo) int64 { return c.CreatedAt.UnixMilli() }
