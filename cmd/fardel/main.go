// Command fardel replicates software packages and update metadata down a tree
// of sites, and brings receipts back up.
//
// This package is flags, wiring and words: it holds no logic of replication.
// Each command is a [Command] in a table (commands.go); one file holds one group
// of commands. A handler gets an [Env] and an [Input] and gives back a [Result];
// it neither prints nor exits, and it does not see the flag library. The rest is
// the frame around it:
//
//	command.go   what a command is: its description, its flags, its input
//	table.go     all commands together, and what to say about wrong ones
//	argv.go      puts the command line in order, so that flags may stand anywhere
//	app.go       makes a urfave/cli application of the table and runs it
//	env.go       what a handler may use: streams, state folder, configuration
//	secret.go    passphrases
//	config.go    the configuration file
//	output.go    results, faults and the JSON envelope
//	print.go     tables, wrapping, sizes
//	progress.go  bars and lines on stderr
//	help.go      help of commands, ids and topics
//	complete.go  what the shells complete
package main

import (
	"os"
	"runtime/debug"
)

// memoryLimit is how many bytes the program's data takes up before the collector
// works harder. Without it, a large export takes half as much again and is hardly
// faster. GOMEMLIMIT in the environment has the last word.
const memoryLimit = 128 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	os.Exit(run(thisProcess(), commands()))
}
