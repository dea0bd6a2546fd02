# Usher on Nomad: the managers and the speech service. Bots are batch jobs of their own, which the managers submit.
# docs/how-to/deploy-on-nomad.md says how to prepare and run it.
#
# Secrets are in the Nomad Variable `nomad/jobs/usher`, which the tasks of this job, and of no other, may read:
# database_dsn, redis_url, secret, admin_token, nomad_token.

variable "datacenters" {
  type        = list(string)
  default     = ["*"]
  description = "Where everything may run."
}

variable "namespace" {
  type    = string
  default = "default"
}

variable "image_manager" {
  type    = string
  default = "usher-manager:latest"
}

variable "image_transcription" {
  type    = string
  default = "usher-transcription:latest"
}

variable "image_bot" {
  type        = string
  default     = "usher-bot:latest"
  description = "Has to be on every client that runs bots, or in a registry that it can pull from."
}

variable "managers" {
  type    = number
  default = 2
}

variable "public_url" {
  type        = string
  description = "How users reach the API, without trailing slash: the address of your load balancer for port 8056."
}

variable "bots_url" {
  type        = string
  description = "How bots reach the managers, without trailing slash: a balanced address for port 8057. Not for users."
}

variable "redis_bot_url" {
  type        = string
  description = "Redis as bots reach it, without credentials: redis://host:6379/0"
}

variable "transcription_url" {
  type        = string
  default     = ""
  description = "WebSocket URL of the speech service as bots reach it; default: the one of this job, if it has one."
}

variable "transcriptions" {
  type        = number
  default     = 1
  description = "Speech services; 0 with one of your own. With several set transcription_url to their balanced address."
}

variable "nomad_url" {
  type        = string
  default     = ""
  description = "The Nomad API as managers reach it; default: port 4646 of the client that they run on."
}

variable "installation" {
  type        = string
  default     = "usher"
  description = "Begins the names of the bots' jobs. With another one, change deploy/nomad/usher.policy.hcl, too."
}

variable "bot_cpu_mhz" {
  type    = number
  default = 1000
}

variable "bot_memory_mb" {
  type    = number
  default = 1500
}

job "usher" {
  type        = "service"
  datacenters = var.datacenters
  namespace   = var.namespace

  group "manager" {
    count = var.managers

    constraint {
      distinct_hosts = true
    }

    # One after the other, the next one when the new one is well; back to the version before if it never is.
    update {
      max_parallel      = 1
      canary            = 0
      health_check      = "checks"
      min_healthy_time  = "10s"
      healthy_deadline  = "3m"
      progress_deadline = "10m"
      auto_revert       = true
    }

    network {
      port "api" {
        static = 8056
        to     = 8056
      }
      port "bots" {
        static = 8057
        to     = 8057
      }
    }

    service {
      name     = "usher-api"
      provider = "nomad"
      port     = "api"
      check {
        name     = "health"
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "5s"
      }
    }

    service {
      name     = "usher-bots"
      provider = "nomad"
      port     = "bots"
      check {
        name     = "open"
        type     = "tcp"
        interval = "10s"
        timeout  = "5s"
      }
    }

    task "manager" {
      driver       = "docker"
      kill_timeout = "20s"

      config {
        image           = var.image_manager
        ports           = ["api", "bots"]
        args            = ["serve"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 256
        mount {
          type     = "tmpfs"
          target   = "/tmp"
          readonly = false
          tmpfs_options {
            size = 67108864
          }
        }
      }

      env {
        USHER_API__HOST                  = "0.0.0.0"
        USHER_API__PUBLIC_URL            = var.public_url
        USHER_BOTS__HOST                 = "0.0.0.0"
        USHER_BOTS__PORT                 = "8057"
        USHER_BOTS__MANAGER_URL          = var.bots_url
        USHER_BOTS__CHROMIUM             = "/usr/bin/chromium"
        USHER_BOTS__SANDBOX              = "false"
        USHER_REDIS__BOT_URL             = var.redis_bot_url
        USHER_LAUNCHER__KIND             = "nomad"
        USHER_LAUNCHER__INSTALLATION     = var.installation
        USHER_LAUNCHER__NOMAD__URL       = var.nomad_url != "" ? var.nomad_url : "http://${attr.unique.network.ip-address}:4646"
        USHER_LAUNCHER__NOMAD__NAMESPACE = var.namespace
        USHER_LAUNCHER__NOMAD__DRIVER    = "docker"
        USHER_LAUNCHER__NOMAD__IMAGE     = var.image_bot
        USHER_LAUNCHER__NOMAD__CPU_MHZ   = "${var.bot_cpu_mhz}"
        USHER_LAUNCHER__NOMAD__MEMORY_MB = "${var.bot_memory_mb}"
      }

      template {
        destination = "secrets/usher.env"
        env         = true
        change_mode = "restart"
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/usher" }}
          USHER_DATABASE__DSN={{ .database_dsn.Value | toJSON }}
          USHER_REDIS__URL={{ .redis_url.Value | toJSON }}
          USHER_SECRET={{ .secret.Value | toJSON }}
          USHER_API__ADMIN_TOKEN={{ .admin_token.Value | toJSON }}
          USHER_LAUNCHER__NOMAD__TOKEN={{ .nomad_token.Value | toJSON }}
          {{ end }}
        EOT
      }

      # The managers wait for a speech service to be there, and are restarted when it has moved.
      template {
        destination = "local/speech.env"
        env         = true
        change_mode = "restart"
        data        = var.transcription_url != "" ? "USHER_TRANSCRIPTION__URL=${var.transcription_url}" : <<-EOT
          {{ range nomadService 1 "usher" "usher-transcription" }}
          USHER_TRANSCRIPTION__URL=ws://{{ .Address }}:{{ .Port }}
          {{ end }}
        EOT
      }

      resources {
        cpu        = 500
        memory     = 512
        memory_max = 1024
      }
    }
  }

  group "transcription" {
    count = var.transcriptions

    update {
      max_parallel     = 1
      health_check     = "checks"
      min_healthy_time = "10s"
      healthy_deadline = "5m"
      auto_revert      = true
    }

    network {
      port "speech" {
        static = 9090
        to     = 9090
      }
    }

    service {
      name     = "usher-transcription"
      provider = "nomad"
      port     = "speech"
      check {
        name     = "health"
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "5s"
      }
    }

    task "transcription" {
      driver       = "docker"
      kill_timeout = "20s"

      config {
        image           = var.image_transcription
        ports           = ["speech"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 256
        mount {
          type     = "tmpfs"
          target   = "/tmp"
          readonly = false
          tmpfs_options {
            size = 67108864
          }
        }
      }

      template {
        destination = "secrets/usher.env"
        env         = true
        change_mode = "restart"
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/usher" }}
          USHER_SECRET={{ .secret.Value | toJSON }}
          {{ end }}
        EOT
      }

      resources {
        cpu        = 4000
        memory     = 1024
        memory_max = 3072
      }
    }
  }
}
