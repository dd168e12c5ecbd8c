variable "environment" {
  description = "Which of environments/*.tfvars this is. A state remembers it, and refuses another's."
  type        = string

  validation {
    condition     = contains(["example", "staging", "production"], var.environment)
    error_message = "There are example, staging and production."
  }
}

variable "project_id" {
  description = "The project that has nothing else in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Where everything runs that runs in one place."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is written as europe-west4."
  }
}

variable "domain" {
  description = "The host name of API and pages; its A record has to be the output `address`."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A host name in lower case, without scheme or path."
  }
}

variable "tokens" {
  description = "Whose tokens are believed: issuer, audience, where its keys are, and the claim that says the role."
  type = object({
    issuer     = string
    audience   = string
    jwks_url   = string
    role_claim = optional(string, "role")
  })

  validation {
    condition     = startswith(var.tokens.jwks_url, "https://")
    error_message = "Keys are fetched over HTTPS."
  }
}

variable "players_are_trusted" {
  description = "Whether `isAssigned` in a player's start counts."
  type        = bool
  default     = false
}

variable "statement_timeout_ms" {
  description = "How long a statement or a lock may take."
  type        = number
  default     = 2000

  validation {
    condition     = var.statement_timeout_ms >= 100 && var.statement_timeout_ms <= 10000
    error_message = "Between 100 and 10,000 ms: a player waits for it."
  }
}

variable "retention_days" {
  description = "How long raw segments stay in the database after their month."
  type        = number
  default     = 400

  validation {
    condition     = var.retention_days >= 35
    error_message = "At least 35 days: a buffer that was offline for a month still has to find its session."
  }
}

variable "deployers" {
  description = "Who may act as the account that migrates the database: members such as serviceAccount:… or group:…"
  type        = set(string)
  default     = []

  validation {
    condition     = !anytrue([for member in var.deployers : contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "Name people, groups or accounts."
  }
}
