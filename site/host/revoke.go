package host

import (
	"fmt"

	"fardel/site"
	"fardel/site/charter"
	"fardel/site/journal"
)

// EnforceRevocations makes void what a revoked key signed above its last good
// position. A log that came by another way to that position is given up as a
// whole, with an alarm: nobody can say which of its entries are true. It comes
// back from its author, under a key that is good.
func (v *View) EnforceRevocations() error {
	hier, err := v.Host.hierarchy(v.Tx, v.Chain)
	if err != nil {
		return err
	}
	known := charter.NewKnown(v.Chain, hier.Sites)
	for code, s := range hier.Sites {
		for _, k := range s.Keys {
			if k.End == nil || !k.End.Revoked || code == v.Host.Self {
				continue
			}
			for name, good := range map[site.LogName]site.Position{site.Decisions: k.End.Decisions, site.Observations: k.End.Observations} {
				if err := v.enforce(known, site.LogID{Site: code, Log: name}, good); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (v *View) enforce(known *charter.Known, id site.LogID, good site.Position) error {
	head, err := v.Head(id)
	if err != nil || head.Epoch == 0 || head.Stopped != "" || len(head.Checkpoint) == 0 {
		return err
	}
	_, sigs, err := journal.OpenCheckpoint(head.Checkpoint, known.For(id.Site))
	if err != nil {
		return nil // by a key that is no longer listed; nothing newer says that it is bad
	}
	if verdict, end := known.Best(id.Site, sigs); verdict != charter.RevokedKey || charter.Covers(end, id.Log, head.Position()) {
		return nil
	}
	if head.Epoch == good.Epoch && good.Size < head.Edge.Size {
		root, err := v.RootAt(id, good.Size)
		if err != nil {
			return err
		}
		if root == good.Root {
			return v.Rewind(id, good.Size)
		}
	}
	if err := v.Forget(id); err != nil {
		return err
	}
	if _, fenced, err := v.Fenced(); err != nil || fenced {
		return err
	}
	return v.Alarm(id.String(), fmt.Sprintf("its key was revoked, and its entries here are not those that %s holds; all of them were given up", v.Hier.Top))
}
