# Brings the database to the schema of the image's version: once before each install and upgrade. Safe to repeat, and
# with the version before still running. The Nomad Variable `nomad/jobs/usher-migrate` holds `database_dsn`.

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "namespace" {
  type    = string
  default = "default"
}

variable "image_manager" {
  type    = string
  default = "usher-manager:latest"
}

job "usher-migrate" {
  type        = "batch"
  datacenters = var.datacenters
  namespace   = var.namespace

  # A job that was run before is run again only if something in it is new.
  meta {
    run = uuidv4()
  }

  group "migrate" {
    restart {
      attempts = 3
      delay    = "10s"
      interval = "5m"
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "migrate" {
      driver = "docker"

      config {
        image           = var.image_manager
        args            = ["migrate"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 128
      }

      template {
        destination = "secrets/usher.env"
        env         = true
        change_mode = "noop"
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/usher-migrate" }}
          USHER_DATABASE__DSN={{ .database_dsn.Value | toJSON }}
          {{ end }}
        EOT
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
