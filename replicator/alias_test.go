package replicator_test

import (
	"fardel/replicator"
	"fardel/site/host"
)

type (
	replicatorT = replicator.Replicator
	hostT       = host.Host
	viewT       = host.View
)
