# What the token of Usher's manager may do: run bots as jobs in one namespace, see how they fare, and nothing else.
#
#     nomad acl policy apply -description "Usher" usher deploy/nomad/usher.policy.hcl
#     nomad acl token create -name usher -policy usher
#
# With another namespace or another installation (USHER_LAUNCHER__INSTALLATION), change the names below.

namespace "default" {
  capabilities = [
    "list-jobs",       # which bots there are
    "read-job",        # how each fares; events
    "submit-job",      # start, stop, forget
    "alloc-lifecycle", # ask a bot to end: SIGTERM
    "read-logs",       # what a bot printed, kept when it crashed
    "read-fs",         # what a bot left behind for the manager
  ]

  variables {
    # The tickets of the jobs. They hold the bots' credentials, each until its bot has ended.
    path "nomad/jobs/usher-*" {
      capabilities = ["list", "read", "write", "destroy"]
    }
  }
}
