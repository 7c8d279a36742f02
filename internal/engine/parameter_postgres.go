// SPDX-License-Identifier: Apache-2.0

package engine

// postgresParameters are those of PostgreSQL that users may set, by name. What Postern sets
// by itself, what names files or programs of the host, and what could make data be lost is
// not among them. Ranges are PostgreSQL's, in its units
// (https://www.postgresql.org/docs/current/runtime-config.html).
var postgresParameters = []Parameter{
	{Name: "max_connections", Type: TypeInteger, Allowed: "10-10000", Static: true, Scope: ScopeCluster, Description: "Sets the maximum number of concurrent connections."},
	{Name: "work_mem", Type: TypeInteger, Allowed: "64-2147483647", Unit: "kB", Scope: ScopeInstance, Default: "4096", Description: "Sets the maximum memory to be used for query workspaces."},
}
