variable "name" {
  description = "The function's name: its folder, its entry point, its role in the database."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z_]{1,25}[a-z]$", var.name))
    error_message = "Lower-case words, joined by underscores; with wl- before them they must fit an account's 30 characters."
  }
}

variable "project_id" {
  description = "The project."
  type        = string
}

variable "region" {
  description = "Where it runs."
  type        = string
}

variable "build" {
  description = "From which archive it is built, by whom, and where its image goes."
  type = object({
    bucket     = string
    object     = string
    account    = string
    repository = string
  })
}

variable "memory" {
  description = "Memory of an instance."
  type        = string
}

variable "concurrency" {
  description = "Requests at once in an instance, and so its threads."
  type        = number
}

variable "connections" {
  description = "At most so many connections of an instance to the database."
  type        = number

  validation {
    condition     = var.connections >= var.concurrency
    error_message = "A request must not wait for another's connection."
  }
}

variable "min_instances" {
  description = "Instances that are kept without any request."
  type        = number
}

variable "max_instances" {
  description = "Instances at most."
  type        = number

  validation {
    condition     = var.max_instances >= 1 && var.max_instances >= var.min_instances
    error_message = "At least one, and no fewer than are kept."
  }
}

variable "timeout_seconds" {
  description = "After so long a request is given up."
  type        = number
}

variable "ingress" {
  description = "Whose requests reach it."
  type        = string

  validation {
    condition     = contains(["ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"], var.ingress)
    error_message = "A function is never reached past the load balancer."
  }
}

variable "invoker" {
  description = "The member that may invoke it."
  type        = string
}

variable "network" {
  description = "The network from which it reaches the database."
  type        = string
}

variable "subnetwork" {
  description = "The part of it that its instances take addresses from."
  type        = string
}

variable "instance" {
  description = "The database server it works with."
  type        = object({ name = string })
}

variable "servers" {
  description = "The names of all database servers that it may work with."
  type        = list(string)
}

variable "primary" {
  description = "The database server that has the users, which a replica repeats."
  type        = object({ name = string })
}

variable "secrets" {
  description = "Secrets by the setting that they are."
  type        = map(object({ secret_id = string }))
}

variable "settings" {
  description = "Settings of common/config.py."
  type        = map(string)
}
