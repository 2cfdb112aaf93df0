/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Runs before the first paint: sets the chosen theme, or the system's. */
(function () {
  "use strict";
  try {
    var theme = localStorage.getItem("resthooks.theme");
    if (theme === "light" || theme === "dark") {
      document.documentElement.dataset.theme = theme;
    }
  } catch (error) { /* no storage: the system's */ }
})();
