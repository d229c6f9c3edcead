package site

// The classes of faults. Numbers are in blocks: 200xx the site itself, 201xx
// parcels and routes, 202xx media and import, 203xx packages and distribution,
// 205xx security. A number is never given to something else.
var (
	BadUsage = class(20000, 2, "the command line is wrong",
		"A command, flag or argument is unknown, missing or malformed.",
		"Run the command with --help. Flags may stand anywhere on the line.")
	BadConfig = class(20001, 2, "the configuration is wrong",
		"A configuration file has an unknown key or a value that does not fit; the line is named.",
		"Correct the line and run again. Nothing was done.")
	Failed = class(20002, 1, "the operation failed",
		"The operating system refused something that Fardel needs.",
		"Read the sentence, mend the cause, run the same command again: it continues where it stopped.")
	PartlyDone = class(20003, 3, "only part of it was done",
		"Some of the things asked for failed; those that succeeded stay done.",
		"Each failure was named. Mend it and run the same command again.")
	NotAllowed = class(20004, 4, "this site may not do that",
		"The hierarchy's top site has not given this site the right.",
		"Ask the administrator of the top site.")
	NoSuch = class(20005, 10, "there is no such thing",
		"The site, package or parcel is not known here.",
		"List what is known: fardel site list, package list, parcel list.")
	Locked = class(20006, 11, "another fardel is using this site",
		"One process at a time works on a site's state.",
		"Wait until it has ended, or end it, and run again.")
	StateDamaged = class(20007, 13, "this site's own records are damaged",
		"A record does not match its checksum: the disk or the file system changed it.",
		"Do not go on with this disk. Restore the state from a backup; lost entries come back with the next parcels.")
	NoSite = class(20008, 10, "there is no site here",
		"The state folder has not been set up.",
		"Set up a site with fardel init, or name another folder with --state.")
	Exists = class(20009, 1, "it exists already",
		"A site, package or file with this name exists and differs from what was asked for.",
		"Look at what is there; nothing was changed.")
	Internal = class(20010, 70, "a fault in fardel itself",
		"The program met a situation that its authors had ruled out.",
		"The state is consistent. Report the sentence and the version.")
	Interrupted = class(20011, 130, "interrupted",
		"The command was ended by a signal.",
		"The state is consistent. Run the same command again: it continues.")
	Fenced = class(20012, 20, "this site's state is older than what it has signed",
		"The state was restored from a backup or a snapshot, or the site was copied.",
		"Import the next parcel from a neighbour: it brings the lost entries back. If that cannot be, run fardel recover.")

	Held = class(20101, 14, "an earlier parcel is missing",
		"The parcel builds on another one that has not arrived.",
		"Import the missing parcel; this one then applies by itself. If it is lost, ask the sender to export again.")
	ForeignParcel = class(20102, 15, "the parcel is for another site",
		"Each parcel is sealed for one site.",
		"Pass the medium on to the site that the label names, or return it.")
	Conflict = class(20103, 20, "two histories contradict each other",
		"Two parcels have one number, or a log was signed twice with different contents: a site was cloned or restored, or its key was stolen.",
		"Do not go on with that site before its administrator has explained it. Compare by phone; then fardel recover there, or fardel site rekey --lost at the top.")
	Unreachable = class(20104, 15, "there is no way to that site",
		"Parcels go between a site and those above or below it.",
		"Export to the site on the way: fardel site list shows the tree.")

	NoMedium = class(20201, 10, "no removable medium found",
		"Nothing that can be removed is mounted, and no drop folder is configured.",
		"Plug in the medium and run again, or name a path.")
	NoParcels = class(20202, 10, "there are no parcels there",
		"The medium holds no FARDEL folder, or no label in it.",
		"Check that it is the right medium.")
	WrongKey = class(20212, 12, "cannot be opened with this site's keys",
		"The parcel was sealed for a key that this site does not have, perhaps an older or a newer one.",
		"If the site was re-keyed, ask the sender to export again after it has imported the new card.")
	Damaged = class(20213, 13, "damaged data",
		"Bytes were changed or are missing; the digest on the signed label does not match.",
		"Try another port or drive. What is good was kept. Ask the sender to export again: only what is missing comes.")
	NoSpace = class(20216, 16, "not enough space",
		"The disk or the medium cannot hold what is needed; this is checked before work begins.",
		"Free the space that the sentence names and run again.")
	Untrusted = class(20217, 17, "not signed by anyone this site trusts",
		"The signature is missing, wrong, or made with a key that the hierarchy does not know or has revoked.",
		"Do not use the medium. Tell the sender by another way.")
	MediumGone = class(20218, 18, "the medium went away",
		"It was unplugged or failed while it was in use.",
		"Nothing is half-done. Plug it in and run again: it continues.")
	TooNew = class(20219, 1, "this needs a newer fardel",
		"The sender uses a format that this version does not know.",
		"Upgrade fardel here, or ask the sender to export for the older format.")
	Gated = class(20221, 21, "blocked by a gate",
		"A rule of this site keeps it from going on, such as a jump of the clock by more than 30 days.",
		"The sentence says which rule, and who can open it.")

	BadPackage = class(20301, 2, "the package cannot be taken as it is",
		"package.toml is wrong, or the tree holds something that a package cannot carry.",
		"Correct what the sentence names and run again. Nothing was added.")
	Changing = class(20302, 1, "the files are changing",
		"A file was written to while it was being added.",
		"Wait until nothing writes to the folder and run again. Nothing was added.")

	BadPassphrase = class(20501, 12, "wrong passphrase",
		"The passphrase does not open this file.",
		"Try again; after a lost passphrase make a new kit or backup.")
	Revoked = class(20502, 17, "signed with a revoked key",
		"The top site has revoked the key, because it was lost or stolen.",
		"Do not use the medium. The site must be set up again with new keys.")
	WrongCode = class(20503, 1, "the receipt code matches nothing",
		"It was misread or mistyped, or belongs to another parcel.",
		"Have it read out again. Ten wrong codes lock the route until fardel receipt unlock.")
)

// Classes returns every class, in order of their numbers.
func Classes() []*Class { return classes }

// ClassByID returns the class with this number, or nil.
func ClassByID(id int) *Class {
	for _, c := range classes {
		if c.ID == id {
			return c
		}
	}
	return nil
}

var classes []*Class

func class(id, exit int, title, cause, cure string) *Class {
	c := &Class{ID: id, Exit: exit, Title: title, Cause: cause, Cure: cure}
	classes = append(classes, c)
	return c
}
