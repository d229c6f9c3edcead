package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fardel/courier"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

func mediaCommands() []*Command {
	return []*Command{
		{Name: "media list", Args: "[PATH...]", Short: "list the media that are plugged in, with their parcels", Run: mediaList},
		{Name: "media erase", Args: "PATH", Short: "remove everything that Fardel wrote onto a medium", NoConfig: true, Run: mediaErase},
		{
			Name: "media eject", Args: "PATH", Short: "let a medium go, and mark its parcels as sent",
			Run: mediaEject,
		},
	}
}

type mediumLine struct {
	Path      string   `json:"path"`
	Name      string   `json:"name"`
	FS        string   `json:"fs"`
	Size      int64    `json:"size"`
	Free      int64    `json:"free"`
	ReadOnly  bool     `json:"read_only"`
	Removable bool     `json:"removable"`
	Parcels   []string `json:"parcels"`
}

type mediaResult []mediumLine

func (mediaResult) Kind() string { return "MediumList" }

func (r mediaResult) Text(w *Printer) {
	if len(r) == 0 {
		w.Para("No medium is mounted in the folders that are looked at (setting media: fardel config show).")
		return
	}
	rows := [][]string{}
	for _, m := range r {
		parcels := "no parcels"
		if len(m.Parcels) > 0 {
			parcels = strings.Join(m.Parcels, " ")
		}
		state := m.FS
		if m.ReadOnly {
			state += ", read-only"
		}
		rows = append(rows, []string{m.Path, dash(m.Name), dash(state), Bytes(m.Free), Bytes(m.Size), parcels})
	}
	w.Table([]string{"PATH", "NAME", "KIND", ">FREE", ">SIZE", "PARCELS"}, rows)
}

func mediaList(ctx context.Context, env *Env, in *Input) (Result, error) {
	var all []courier.Medium
	var err error
	for _, path := range in.Args {
		m, err := courier.At(ctx, path)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if len(in.Args) == 0 {
		if all, err = env.mounted(ctx); err != nil {
			return nil, err
		}
	}
	res := mediaResult{}
	for _, m := range all {
		line := mediumLine{Path: m.Path, Name: strings.TrimSpace(m.Model + " " + m.Label), FS: m.FS, Size: m.Size, Free: m.Free,
			ReadOnly: m.ReadOnly, Removable: m.Removable, Parcels: []string{}}
		if c, err := courier.List(m.Path); err == nil {
			for _, n := range labelNames(c) {
				line.Parcels = append(line.Parcels, n.String())
			}
		}
		res = append(res, line)
	}
	return res, nil
}

type mediumChange struct {
	Path string   `json:"path"`
	Done string   `json:"done"`
	Sent []string `json:"sent,omitempty"`
}

func (mediumChange) Kind() string      { return "MediumChange" }
func (r mediumChange) Text(w *Printer) { w.Para("%s", r.Done) }

func mediaErase(ctx context.Context, env *Env, in *Input) (Result, error) {
	path := in.Arg("PATH")
	c, err := courier.List(path)
	if err != nil {
		return nil, err
	}
	var bytes int64
	for _, f := range c.Folders {
		bytes += f.Bytes
	}
	if len(c.Folders) == 0 {
		return nil, noParcels(path)
	}
	names := labelNames(c)
	if err := env.Confirm(ctx, "Remove %s and %s from %s? Parcels whose receipt is not in are on no other medium.",
		Count(int64(len(names)), "parcel"), Bytes(bytes), path); err != nil {
		return nil, err
	}
	if _, err := courier.Erase(path); err != nil {
		return nil, err
	}
	return mediumChange{Path: path, Done: fmt.Sprintf("%s of Fardel's are gone from %s; other files stay.", Bytes(bytes), path)}, nil
}

func mediaEject(ctx context.Context, env *Env, in *Input) (Result, error) {
	path := in.Arg("PATH")
	c, err := courier.List(path)
	if err != nil {
		return nil, err
	}
	res := mediumChange{Path: path}
	var how courier.Ejection
	err = env.withReplicator(ctx, "media eject", "", func(h *host.Host, r *replicator.Replicator) (err error) {
		own := slices.DeleteFunc(labelNames(c), func(n site.ParcelName) bool { return n.From != h.Self })
		if err := r.Held(own); err != nil {
			return err
		}
		if how, err = courier.Eject(ctx, path); err != nil {
			return err
		}
		for _, n := range own {
			sent, err := r.MarkSent(n)
			if err != nil {
				return err
			}
			if sent {
				res.Sent = append(res.Sent, n.String())
			}
		}
		return nil
	})
	if errors.Is(err, site.NoSite) { // not ours to mark, but it can be let go
		how, err = courier.Eject(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	switch how {
	case courier.Synced:
		res.Done = fmt.Sprintf("%s is no mount of its own; everything is on the disk.", path)
	default:
		res.Done = fmt.Sprintf("%s is %s. Safe to unplug.", path, how)
	}
	if len(res.Sent) > 0 {
		res.Done += " Sent: " + strings.Join(res.Sent, ", ") + "."
	}
	return res, nil
}

func labelNames(c courier.Contents) []site.ParcelName {
	var out []site.ParcelName
	for _, f := range c.Folders {
		for _, l := range f.Labels {
			if n, err := media.ParseLabelPath(l); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}
