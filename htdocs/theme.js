/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Before the first paint: the theme that was chosen; otherwise the system's. */
(function () {
  "use strict";
  try {
    var theme = localStorage.getItem("resthooks.theme");
    if (theme === "light" || theme === "dark") {
      document.documentElement.dataset.theme = theme;
    }
  } catch (error) { /* no storage: the system's */ }
})();
