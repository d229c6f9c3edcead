package main

import (
	"context"

	"fardel/site"
	"fardel/site/host"
)

func libraryCommands() []*Command {
	return []*Command{
		{
			Name: "library verify", Short: "hash every file; damaged ones are asked for again",
			Run: libraryVerify,
		},
		{
			Name: "library clean", Short: "remove files that no package needs any more",
			Flags: []Flag{Number("versions", "N", "source versions of each package that stay").Or("2"), FlagDryRun},
			Run:   libraryClean,
		},
		{Name: "library show", Short: "show what the library holds, and how much of it is shared", Run: libraryShow},
	}
}

func libraryVerify(ctx context.Context, env *Env, _ *Input) (Result, error) {
	res := verifyResult{what: "The library"}
	var parent site.Code
	err := env.withSite(ctx, "library verify", func(h *host.Host) (err error) {
		parent = h.Me.Parent
		if _, err := h.Store.Verify(ctx); err != nil {
			return err
		}
		res.Verified, err = h.VerifyLibrary(ctx, env.bytesDone())
		return err
	})
	env.Progress().Done()
	if err != nil {
		return nil, err
	}
	return res, damagedFault(res.Verified, parent)
}

type cleanResult struct{ host.Cleaned }

func (cleanResult) Kind() string { return "Cleaning" }

func (r cleanResult) Text(w *Printer) {
	verb := "Removed"
	if r.Dry {
		verb = "Would remove"
	}
	w.Para("%s %s, %s. %s stay.", verb, Count(r.Files, "file"), Bytes(r.Bytes), Count(r.Kept, "file"))
}

func libraryClean(ctx context.Context, env *Env, in *Input) (Result, error) {
	var res cleanResult
	err := env.withSite(ctx, "library clean", func(h *host.Host) (err error) {
		res.Cleaned, err = h.CleanLibrary(ctx, int(in.Int("versions")), in.Bool("dry-run"))
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

type libraryResult struct {
	Files  int64 `json:"files"`
	Bytes  int64 `json:"bytes"`
	Shared int64 `json:"shared"` // files that more than one package version uses
	Unused int64 `json:"unused"`
	Free   int64 `json:"free"` // bytes
}

func (libraryResult) Kind() string { return "Library" }

func (r libraryResult) Text(w *Printer) {
	w.Fields([2]string{"Files", Count(r.Files, "file") + ", " + Bytes(r.Bytes)}, [2]string{"Shared", Count(r.Shared, "file") + " used by several package versions"},
		[2]string{"Unused", Count(r.Unused, "file")}, [2]string{"Free", Bytes(r.Free)})
}

func libraryShow(ctx context.Context, env *Env, _ *Input) (Result, error) {
	var res libraryResult
	err := env.withSite(ctx, "library show", func(h *host.Host) error {
		users, err := h.Users(2)
		if err != nil {
			return err
		}
		if res.Free, err = h.Library.Space(); err != nil {
			return err
		}
		return h.Library.Walk(func(d site.Digest, size int64) error {
			res.Files, res.Bytes = res.Files+1, res.Bytes+size
			if users[d] > 1 {
				res.Shared++
			}
			if users[d] == 0 {
				res.Unused++
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	if res.Unused > 0 {
		env.Next("fardel library clean")
	}
	return res, nil
}
