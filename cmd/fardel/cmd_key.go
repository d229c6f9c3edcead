package main

import (
	"context"

	"fardel/site"
	"fardel/site/host"
)

func keyCommands() []*Command {
	return []*Command{
		{
			Name: "key backup", Args: "DIR",
			Short:    "write a sealed copy of this site's keys",
			Long:     "The file is sealed with a passphrase. Keep the two apart from each other and from this machine. Whoever has both is this site.",
			Examples: []string{"fardel key backup /media/safe"},
			Flags:    []Flag{FlagPassphraseFile},
			Run:      keyBackup,
		},
		{
			Name: "key restore", Args: "FILE",
			Short: "bring this site's keys back from a backup",
			Long: "Into an existing state folder it puts the key files back. In an empty one it sets up the site again with its " +
				"keys alone: its entries come back from its neighbours, and until then it signs nothing new.",
			Examples: []string{"fardel key restore /media/safe/fld-keys-20261120-080000.backup"},
			Flags:    []Flag{FlagPassphraseFile},
			Run:      keyRestore,
		},
		{
			Name:  "key list",
			Short: "show this site's public keys, and when they were backed up",
			Run:   keyList,
		},
	}
}

type keyFile struct {
	Path string `json:"path"`
}

func (keyFile) Kind() string      { return "KeyBackup" }
func (r keyFile) Text(w *Printer) { w.Para("The keys are in %s, sealed with your passphrase.", r.Path) }

func keyBackup(ctx context.Context, env *Env, in *Input) (Result, error) {
	var res keyFile
	err := env.withSite(ctx, "key backup", func(h *host.Host) error {
		pass, err := env.NewPassphrase(ctx, in, "the key backup")
		if err != nil {
			return err
		}
		res.Path, err = h.BackupKeys(in.Arg("DIR"), string(pass))
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func keyRestore(ctx context.Context, env *Env, in *Input) (Result, error) {
	pass, err := env.Passphrase(ctx, in, "the key backup")
	if err != nil {
		return nil, err
	}
	h, err := host.RestoreKeys(ctx, env.StateDir, in.Arg("FILE"), string(pass), env.hostOptions("key restore"))
	if err != nil {
		return nil, err
	}
	defer h.Close()
	env.Next("fardel status")
	env.Next("fardel import    a medium from a neighbour, made with: fardel export %s --full", h.Self)
	return initResult{h.Self, h.Me.Name, h.Dir, h.CardPath(), h.Words(), h.Me.Hierarchy, h.Me.Parent}, nil
}

type keyListResult struct {
	Site      site.Code `json:"site"`
	Sign      string    `json:"sign"`
	TLS       string    `json:"tls"`
	Recipient string    `json:"recipient"`
	Words     string    `json:"words"`
	Backup    string    `json:"backup,omitempty"` // when these keys were backed up
	Root      bool      `json:"root"`             // the root key is on this machine
}

func (keyListResult) Kind() string { return "Keys" }

func (r keyListResult) Text(w *Printer) {
	backup := r.Backup
	if backup == "" {
		backup = Bad("never") + "    fardel key backup /media/safe"
	}
	recipient := r.Recipient
	if len(recipient) > 80 {
		recipient = recipient[:77] + "..."
	}
	root := ""
	if r.Root {
		root = "on this machine"
	}
	w.Fields([2]string{"Site", string(r.Site)}, [2]string{"Signs with", r.Sign}, [2]string{"Sealed to", recipient},
		[2]string{"Connects with", r.TLS}, [2]string{"Root", r.Words}, [2]string{"Root key", root}, [2]string{"Backed up", backup})
}

func keyList(ctx context.Context, env *Env, _ *Input) (Result, error) {
	var res keyListResult
	err := env.withSite(ctx, "key list", func(h *host.Host) error {
		res = keyListResult{
			Site: h.Self, Sign: h.Keys.SignKey(), TLS: h.Keys.TLSKey(), Recipient: h.Keys.Recipient(),
			Words: h.Words(), Root: h.Keys.Root() != nil,
		}
		return h.View(func(v *host.View) error {
			saved, ok, err := v.LastBackup()
			if ok {
				res.Backup = saved.At
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}
