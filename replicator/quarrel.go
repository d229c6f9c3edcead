package replicator

import (
	"errors"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// A log whose author has contradicted itself, or whose key was revoked, must not
// keep out the rest of a parcel that somebody else has sent: one leaf could cut
// off its whole branch. Such a log is passed over, what is held of it stays, and
// an alarm tells the sites above. About its own logs a sender is given no such
// leave, nor about entries that their author did not sign.

// begin is open, with that leave.
func (in *incoming) begin(v *host.View, b media.BodyLog) (*incomingLog, error) {
	l, err := in.open(v, b)
	if err == nil || !in.quarrel(b.LogID, err) {
		return l, err
	}
	have, err := v.Position(b.LogID)
	return &incomingLog{BodyLog: b, have: have, next: b.From, past: true, differs: -1}, err
}

// end is close, with that leave.
func (in *incoming) end(v *host.View, l *incomingLog) error {
	err := in.close(v, l)
	if err == nil || l == nil || !in.quarrel(l.LogID, err) {
		return err
	}
	l.past, l.edge = true, l.start.Clone()
	return nil
}

// quarrel notes what is wrong with a log of somebody else than the sender, and
// reports whether the rest of the parcel may go on without it.
func (in *incoming) quarrel(id site.LogID, err error) bool {
	if id.Site == in.a.label.From || id.Site == in.r.host.Self || id.Site == in.hier.Top {
		return false
	}
	if !errors.Is(err, site.Conflict) && !errors.Is(err, site.Revoked) {
		return false
	}
	in.disputed = site.LogID{}
	in.quarrels = append(in.quarrels, site.AlarmBody{About: id.String(), Text: site.AsFault(err).What})
	return true
}

// tellQuarrels raises the alarms, as part of the transaction that applies the
// parcel.
func (in *incoming) tellQuarrels(v *host.View) error {
	for _, q := range in.quarrels {
		if err := v.Alarm(q.About, q.Text); err != nil {
			return err
		}
	}
	return nil
}
