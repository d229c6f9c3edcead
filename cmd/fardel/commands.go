package main

import "slices"

// commands returns all that can be typed. Each group of commands stands in a
// file of its own, which gives its part of the list.
func commands() *table {
	return &table{
		globals: globalFlags,
		groups: []Group{
			{"site", "the hierarchy and its members"},
			{"package", "software, and which sites hold it"},
			{"library", "the files that packages are made of"},
			{"parcel", "what travels between sites"},
			{"receipt", "receipts that are read aloud"},
			{"media", "sticks and discs"},
			{"key", "this site's keys"},
			{"config", "the configuration file"},
		},
		commands: slices.Concat(
			initCommands(),
			statusCommands(),
			exportCommands(),
			importCommands(),
			siteCommands(),
			packageCommands(),
			libraryCommands(),
			parcelCommands(),
			receiptCommands(),
			mediaCommands(),
			keyCommands(),
			demoCommands(),
			configCommands(),
			helpCommands(),
		),
	}
}
