# A PostgreSQL and a Redis for trying Usher out on Nomad. They keep their data only as long as their allocation stays
# where it is: for anything else bring databases of your own. The Nomad Variable `nomad/jobs/usher-stores` holds
# `postgres_password` and `redis_password`.

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "namespace" {
  type    = string
  default = "default"
}

variable "image_postgres" {
  type    = string
  default = "postgres:17"
}

variable "image_redis" {
  type    = string
  default = "valkey/valkey:8.1"
}

job "usher-stores" {
  type        = "service"
  datacenters = var.datacenters
  namespace   = var.namespace

  group "stores" {
    network {
      port "postgres" {
        static = 5432
        to     = 5432
      }
      port "redis" {
        static = 6379
        to     = 6379
      }
    }

    service {
      name     = "usher-postgres"
      provider = "nomad"
      port     = "postgres"
      check {
        name     = "open"
        type     = "tcp"
        interval = "10s"
        timeout  = "5s"
      }
    }

    service {
      name     = "usher-redis"
      provider = "nomad"
      port     = "redis"
      check {
        name     = "open"
        type     = "tcp"
        interval = "10s"
        timeout  = "5s"
      }
    }

    task "postgres" {
      driver       = "docker"
      kill_signal  = "SIGINT"
      kill_timeout = "60s"

      config {
        image = var.image_postgres
        ports = ["postgres"]
      }

      env {
        POSTGRES_USER = "usher"
        POSTGRES_DB   = "usher"
      }

      template {
        destination = "secrets/postgres.env"
        env         = true
        change_mode = "noop"
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/usher-stores" }}POSTGRES_PASSWORD={{ .postgres_password.Value | toJSON }}{{ end }}
        EOT
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }

    task "redis" {
      driver       = "docker"
      kill_timeout = "30s"

      config {
        image   = var.image_redis
        ports   = ["redis"]
        command = "sh"
        args    = ["-c", "exec \"$(command -v valkey-server || command -v redis-server)\" /secrets/redis.conf"]
      }

      template {
        destination = "secrets/redis.conf"
        change_mode = "noop"
        data        = <<-EOT
          dir /tmp
          appendonly yes
          maxmemory-policy noeviction
          {{ with nomadVar "nomad/jobs/usher-stores" }}requirepass {{ .redis_password.Value }}{{ end }}
        EOT
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
